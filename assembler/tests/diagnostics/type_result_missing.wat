(module
  (func (result i32)
    nop))
