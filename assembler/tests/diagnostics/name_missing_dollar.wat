(module
  (func $f)
  (func
    call f))
