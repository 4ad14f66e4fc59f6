(module
  (global $counter (mut i32) (i32.const 0))
  (func
    (global.set $conter (i32.const 1))))
