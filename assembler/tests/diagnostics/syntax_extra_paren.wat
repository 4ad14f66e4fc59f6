(module
  (func $first
    nop))
  (func $second nop))
