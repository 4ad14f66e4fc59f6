(module
  (func
    call $something_else_entirely))
