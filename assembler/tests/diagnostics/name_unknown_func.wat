(module
  (func $print_number (param i32))
  (func
    (call $print_numbr (i32.const 1))))
