(module
  (func
    nop
    (local $x i32)))
