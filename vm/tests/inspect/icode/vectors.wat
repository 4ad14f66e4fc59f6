;; Vectors have an accumulator of their own and take two slots.
(module
  (memory 1)
  (func $axpy (param $a f32) (param $x i32) (param $y i32)
    (v128.store (local.get $y)
      (f32x4.add
        (v128.load (local.get $y))
        (f32x4.mul (f32x4.splat (local.get $a)) (v128.load (local.get $x))))))
  (func $lanes (param $v v128) (result i32)
    (i32x4.extract_lane 3 (i32x4.replace_lane 1 (local.get $v) (i32.const 5)))))

;;! function 0 $axpy: frame of 13 slots
;;!      0     0x29  v128.load [s2] -> s6 vacc
;;!     16     0x2f  f32x4.splat s0 -> s8 vacc
;;!     32     0x33  v128.load [s1] -> vacc
;;!     48     0x37  f32x4.mul vacc s8 -> vacc
;;!     64     0x3a  f32x4.add vacc s6 -> vacc
;;!     80     0x3d  v128.store [s2] vacc
;;!     96     0x41  return
;;!    112     0x41  unreachable
;;! function 1 $lanes: frame of 8 slots
;;!      0     0x48  constant 0x5 -> acc
;;!     16     0x48  i32x4.replace_lane s0 acc lane 1 -> vacc
;;!     32     0x4b  i32x4.extract_lane vacc lane 3 -> acc
;;!     48     0x4e  return acc
;;!     64     0x4e  unreachable
