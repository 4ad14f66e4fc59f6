(module
  (func (param $a i32) (param $b f64) (result i32)
    (i32.add
      (local.get $a)
      (local.get $b))))
