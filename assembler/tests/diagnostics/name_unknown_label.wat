(module
  (func
    (block $outer
      (loop $inner
        (br $outter)))))
