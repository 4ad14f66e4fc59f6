(module
  (func (param i64)
    (if (local.get 0)
      (then nop))))
