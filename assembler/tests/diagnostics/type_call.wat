(module
  (func $store (param i32 i64 f32))
  (func
    i32.const 1
    i32.const 2
    f32.const 3
    call $store))
