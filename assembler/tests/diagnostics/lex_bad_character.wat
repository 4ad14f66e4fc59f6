(module
  (func $f [ ]
    nop))
