(module
  (func (result f64)
    f64.const 1.5e))
