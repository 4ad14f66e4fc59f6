(module
  (table 1 funcref)
  (func (param i32)
    i64.const 1
    local.get 0
    call_indirect (param i32)))
