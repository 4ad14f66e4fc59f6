(module
  (func
    nop
    end
    end))
