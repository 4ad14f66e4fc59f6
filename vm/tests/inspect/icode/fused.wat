;; Several operators in one record: an addition, a load or an `and` and the branch behind it; sums
;; with a constant in addresses; stores by base and index; two additions.
(module
  (memory 1)
  (func $count_down (param $n i32)
    (loop $next
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func $count_to (param $n i32) (param $i i32)
    (loop $next
      (br_if $next
        (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (local.get $n)))))
  (func $length (param $s i32) (result i32)
    (local $end i32)
    (local.set $end (local.get $s))
    (loop $next
      (local.set $end (i32.add (local.get $end) (i32.const 1)))
      (br_if $next (i32.load8_u offset=3 (local.get $end))))
    (i32.sub (local.get $end) (local.get $s)))
  (func $is_odd (param $x i32) (result i32)
    (if (result i32) (i32.and (local.get $x) (i32.const 1))
      (then (i32.const 7)) (else (i32.const 8))))
  (func $before (param $at i32) (param $x i32)
    (i32.store (i32.sub (local.get $at) (i32.const 4)) (local.get $x))
    (i32.store8 (i32.add (local.get $at) (i32.const 9)) (i32.const 65))
    (local.set $x (i32.load16_s (i32.add (local.get $at) (i32.const -8))))
    (f64.store (local.get $at) (f64.load (i32.add (local.get $at) (i32.const 16))))
    (i32.store offset=2 (local.get $at) (local.get $x)))
  (func $element (param $base i32) (param $index i32) (param $x i64)
    (i64.store offset=8
      (i32.add (local.get $base) (i32.shl (local.get $index) (i32.const 3)))
      (local.get $x)))
  (func $both (param $i i32) (param $j i32) (result i32)
    (local.set $i (i32.add (local.get $i) (i32.const 2)))
    (local.set $j (i32.sub (local.get $j) (i32.const 3)))
    (i32.mul (local.get $i) (local.get $j)))
  (func $many_locals (param $x i32) (local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64
      i64 i64 i64 i64 i64 i64 i64 i64)))

;;! function 0 $count_down: frame of 6 slots
;;!      0     0x44  i32.add s0 -1 -> s0 acc, if i32.ne acc 0 back to @0
;;!     24     0x47  return
;;!     40     0x47  unreachable
;;! function 1 $count_to: frame of 7 slots
;;!      0     0x56  i32.add s1 4 -> s1 acc, if i32.lt_u acc s0 back to @0
;;!     24     0x59  return
;;!     40     0x59  unreachable
;;! function 2 $length: frame of 7 slots
;;!      0     0x5b  zero from s3, 1 pairs
;;!     16     0x60  move s0 -> s3
;;!     32     0x68  i32.add s3 1 -> s3 acc
;;!     48     0x6d  if i32.ne (i32.load8_u [acc + 3]) 0 back to @32
;;!     72     0x77  i32.sub acc s0 -> acc
;;!     88     0x78  return acc
;;!    104     0x78  unreachable
;;! function 3 $is_odd: frame of 6 slots
;;!      0     0x80  unless i32.and s0 1 to @48
;;!     16     0x84  move 7 -> s3
;;!     32     0x84  return s3
;;!     48     0x87  move 8 -> s3
;;!     64     0x88  return s3
;;!     80     0x88  unreachable
;;! function 4 $before: frame of 8 slots
;;!      0     0x8f  i32.sub s0 4 -> acc
;;!     16     0x92  i32.store [acc] s1
;;!     32     0x9d  i32.store8 [i32.add s0 9] 65
;;!     48     0xa5  i32.load16_s [i32.add s0 -8] -> s1 acc
;;!     64     0xb1  f64.load [i32.add s0 16] -> facc
;;!     80     0xb4  f64.store [s0] facc
;;!     96     0xbb  i32.store [s0 + 2] s1
;;!    112     0xbe  return
;;!    128     0xbe  unreachable
;;! function 5 $element: frame of 9 slots
;;!      0     0xcb  i64.store [s0 + s1 << 3 + 8] s2
;;!     16     0xce  return
;;!     32     0xce  unreachable
;;! function 6 $both: frame of 7 slots
;;!      0     0xdd  i32.add s0 2 -> s0, i32.add s1 -3 -> s1 acc
;;!     24     0xe3  i32.mul acc s0 -> acc
;;!     40     0xe4  return acc
;;!     56     0xe4  unreachable
;;! function 7 $many_locals: frame of 26 slots
;;!      0     0xe6  zero from s3, 11 pairs
;;!     16     0xe9  return
;;!     32     0xe9  unreachable
