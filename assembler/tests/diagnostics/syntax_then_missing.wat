(module
  (func (param i32)
    (if (local.get 0) (nop))))
