(module
  (import "env" (func $log)))
