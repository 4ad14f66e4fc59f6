(module
  (func
    local.get
    drop))
