(module
  (func (result i32)
    global.get 0))
