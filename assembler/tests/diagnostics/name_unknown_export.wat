(module
  (func $run)
  (export "run" (func $runn)))
