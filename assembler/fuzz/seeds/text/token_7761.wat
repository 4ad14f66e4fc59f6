(module
  (table 1 funcref)
  (func)
  (elem (i32.const 0)0)
)
