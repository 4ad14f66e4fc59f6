(module
  (func (local $x f64)
    i32.const 1
    local.set $x))
