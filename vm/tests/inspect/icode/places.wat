;; Where operands come from: a value that is used next stays in the accumulator, a local is read
;; where it is, a constant is part of the record.
(module
  (func $chain (param $a i32) (param $b i32) (result i32)
    (i32.mul (i32.add (local.get $a) (local.get $b)) (i32.const 3)))
  (func $both_sides (param $a i64) (param $b i64) (result i64)
    (i64.xor (i64.add (local.get $a) (i64.const 1)) (i64.sub (local.get $b) (i64.const 2))))
  (func $folded (result i32)
    (i32.add (i32.const 40) (i32.const 2)))
  (func $large (result i64)
    (i64.const 0x123456789abcdef0))
  (func $float (param $x f64) (result f64)
    (f64.sqrt (f64.mul (local.get $x) (f64.const 0.5))))
  (func $lazy_local (param $x i32) (result i32)
    ;; The old value is still wanted when the local is written.
    (local.get $x)
    (local.set $x (i32.const 7))
    (i32.sub (local.get $x))))

;;! function 0 $chain: frame of 7 slots
;;!      0     0x3b  i32.add s0 s1 -> acc
;;!     16     0x3e  i32.mul acc 3 -> acc
;;!     32     0x3f  return acc
;;!     48     0x3f  unreachable
;;! function 1 $both_sides: frame of 8 slots
;;!      0     0x46  i64.add s0 1 -> s4 acc
;;!     16     0x4b  i64.sub s1 2 -> acc
;;!     32     0x4c  i64.xor acc s4 -> acc
;;!     48     0x4d  return acc
;;!     64     0x4d  unreachable
;;! function 2 $folded: frame of 5 slots
;;!      0     0x55  return 42
;;!     16     0x55  unreachable
;;! function 3 $large: frame of 4 slots
;;!      0     0x62  constant 0x123456789abcdef0 -> s2
;;!     24     0x62  return s2
;;!     40     0x62  unreachable
;;! function 4 $float: frame of 6 slots
;;!      0     0x70  f64.mul s0 0.5 -> facc
;;!     16     0x71  f64.sqrt facc -> facc
;;!     32     0x72  return facc
;;!     48     0x72  unreachable
;;! function 5 $lazy_local: frame of 6 slots
;;!      0     0x79  move s0 -> s3
;;!     16     0x79  move 7 -> s0
;;!     32     0x7d  i32.sub s3 s0 -> acc
;;!     48     0x7e  return acc
;;!     64     0x7e  unreachable
