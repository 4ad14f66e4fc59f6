(module
  nop
  (func))
