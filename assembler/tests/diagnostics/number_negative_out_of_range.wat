(module
  (func (result i32)
    i32.const -2147483649))
