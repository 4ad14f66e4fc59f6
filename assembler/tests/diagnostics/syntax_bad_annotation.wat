(module
  (@custom "x" (before everything) "y"))
