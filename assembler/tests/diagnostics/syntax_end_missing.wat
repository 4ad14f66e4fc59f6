(module
  (func
    block $a
      nop))
