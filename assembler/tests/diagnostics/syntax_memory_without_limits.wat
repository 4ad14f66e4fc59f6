(module
  (memory))
