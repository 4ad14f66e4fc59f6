(module
  (func
    drop))
