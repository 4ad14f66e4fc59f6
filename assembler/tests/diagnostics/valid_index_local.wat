(module
  (func (param i32) (local i32)
    local.get 2
    drop))
