(module
  (func $ nop))
