(module
  (fucn $f)
  (memry 1))
