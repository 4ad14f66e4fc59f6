(module
  (func $f)
  (import "env" "log" (func $log)))
