(module
  (global $g i32))
