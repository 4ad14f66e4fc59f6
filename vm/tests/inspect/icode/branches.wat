;; Comparisons melt into the branches that use them; a jump back counts.
(module
  (func $count (param $n i32) (result i32)
    (local $i i32)
    (loop $next
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
    (local.get $i))
  (func $either (param $x i32) (result i32)
    (if (result i32) (i32.eqz (local.get $x)) (then (i32.const 1)) (else (i32.const 2))))
  (func $nan_is_no_less (param $x f32)
    (block $out
      (br_if $out (i32.eqz (f32.lt (local.get $x) (f32.const 1))))
      unreachable))
  (func $table (param $x i32) (result i32)
    (block $c (block $b (block $a
      (br_table $a $b $c (local.get $x)))
      (return (i32.const 10)))
      (return (i32.const 20)))
    (i32.const 30))
  (func $select (param $x i32) (param $y i32) (result i32)
    (select (local.get $x) (i32.const 9) (i32.gt_s (local.get $x) (local.get $y)))))

;;! function 0 $count: frame of 7 slots
;;!      0     0x26  zero from s3, 1 pairs
;;!     16     0x37  i32.add s3 1 -> s3 acc, if i32.lt_u acc s0 back to @16
;;!     40     0x3c  return acc
;;!     56     0x3c  unreachable
;;! function 1 $either: frame of 5 slots
;;!      0     0x42  unless i32.eqz s0 to @48
;;!     16     0x46  move 1 -> s3
;;!     32     0x46  return s3
;;!     48     0x49  move 2 -> s3
;;!     64     0x4a  return s3
;;!     80     0x4a  unreachable
;;! function 2 $nan_is_no_less: frame of 6 slots
;;!      0     0x56  f32.lt s0 1.0 -> acc
;;!     16     0x58  if i32.eqz acc to @48
;;!     32     0x5a  unreachable
;;!     48     0x5c  return
;;!     64     0x5c  unreachable
;;! function 3 $table: frame of 5 slots
;;!      0     0x67  br_table s0, last 2
;;!     32     0x6f  return 10
;;!     48     0x73  return 20
;;!     64     0x77  return 30
;;!     80     0x77  unreachable
;;! function 4 $select: frame of 9 slots
;;!      0     0x82  i32.gt_s s0 s1 -> acc
;;!     16     0x83  select acc: s0 9 -> acc
;;!     32     0x84  return acc
;;!     48     0x84  unreachable
