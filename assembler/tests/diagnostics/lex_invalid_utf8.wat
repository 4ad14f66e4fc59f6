(module
  (func (export "café") nop))
