(module
  (func $a
    i32.cnst 1
    drop)
  (globl $g i32 (i32.const 0))
  (func $b
    call $c)
  (func $b2 (param $x i3))
  (export "a" (func $aa)))
