(module
  (func $a (export "run"))
  (func $b (export "run")))
