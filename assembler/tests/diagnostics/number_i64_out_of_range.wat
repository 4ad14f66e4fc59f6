(module
  (func (result i64)
    i64.const 0x1_0000_0000_0000_0000))
