(module
  (func (param $a i64) (param $b i32) (result i32)
    local.get $a
    local.get $b
    i32.add))
