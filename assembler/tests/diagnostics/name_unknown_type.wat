(module
  (type $binary (func (param i32 i32) (result i32)))
  (func (type $binry)
    unreachable))
