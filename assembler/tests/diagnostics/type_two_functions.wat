(module
  (func $a (result i32)
    i64.const 1)
  (func $b (result i32)
    i32.const 1)
  (func $c
    i32.const 1))
