(module
  (func
    nop; do nothing
  ))
