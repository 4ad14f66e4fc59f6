(module
  (func $f
    i32.const 1
    i32.const 2))
