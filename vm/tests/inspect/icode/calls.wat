;; Arguments are put where the callee's frame begins; what leaves the instance goes to the driver.
(module
  (import "host" "log" (func $log (param i32)))
  (type $unary (func (param i32) (result i32)))
  (table 2 funcref)
  (global $count (mut i32) (i32.const 0))
  (func $twice (param $x i32) (result i32)
    (i32.shl (local.get $x) (i32.const 1)))
  (func $nested (param $x i32) (result i32)
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (call $log (local.get $x))
    (call $twice (call $twice (local.get $x))))
  (func $indirect (param $x i32) (param $which i32) (result i32)
    (call_indirect (type $unary) (local.get $x) (local.get $which)))
  (func $tail (param $x i32) (result i32)
    (return_call $twice (local.get $x)))
  (func $two (result i32 i64)
    (i32.const 1)
    (i64.const 2)))

;;! function 1 $twice: frame of 6 slots
;;!      0     0x4c  i32.shl s0 1 -> acc
;;!     16     0x4d  return acc
;;!     32     0x4d  unreachable
;;! function 2 $nested: frame of 6 slots
;;!      0     0x50  global.get 0 -> acc
;;!     16     0x54  i32.add acc 1 -> acc
;;!     32     0x55  global.set 0 acc
;;!     48     0x59  move s0 -> s3
;;!     64     0x59  call $log outside, window s3
;;!     88     0x5d  move s0 -> s3
;;!    104     0x5d  call $twice, window s3
;;!    128     0x5f  call $twice, window s3
;;!    152     0x61  return acc
;;!    168     0x61  unreachable
;;! function 3 $indirect: frame of 7 slots
;;!      0     0x68  move s0 -> s4
;;!     16     0x68  call_indirect slot, window s4
;;!     48     0x6b  return acc
;;!     64     0x6b  unreachable
;;! function 4 $tail: frame of 5 slots
;;!      0     0x70  move s0 -> s3
;;!     16     0x70  return_call $twice, window s3
;;!     48     0x72  unreachable
;;! function 5 $two: frame of 5 slots
;;!      0     0x79  move 1 -> s2
;;!     16     0x79  move 2 -> s3
;;!     32     0x79  return from s2
;;!     48     0x79  unreachable
