(module
  (func (result i32)
    unreachable
    i64.const 1
    i32.eqz))
