(module
  (func  nop))
