(module
  (func $a)
  (start $a)
  (start $a))
