(module
  (memory 1)
  (func (param $x i32) (result i32)
    get_local $x
    grow_memory
    i32.wrap/i64))
