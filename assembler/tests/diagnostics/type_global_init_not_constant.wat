(module
  (global $g i32 (i32.popcnt (i32.const 1))))
