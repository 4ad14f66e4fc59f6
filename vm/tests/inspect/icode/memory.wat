;; Accesses by the guard: the address from a slot or the accumulator, elements by base and index.
(module
  (memory 1)
  (func $element (param $base i32) (param $index i32) (result i32)
    (i32.load offset=4 (i32.add (local.get $base) (i32.shl (local.get $index) (i32.const 2)))))
  (func $absolute (result i64)
    (i64.load offset=8 (i32.const 16)))
  (func $stores (param $at i32) (param $x f64)
    (i32.store8 (local.get $at) (i32.const 65))
    (f64.store offset=8 (local.get $at) (local.get $x)))
  (func $grow (param $pages i32) (result i32)
    (drop (memory.grow (local.get $pages)))
    (memory.size)))

;;! function 0 $element: frame of 8 slots
;;!      0     0x38  i32.load [s0 + s1 << 2 + 4] -> acc
;;!     16     0x3b  return acc
;;!     32     0x3b  unreachable
;;! function 1 $absolute: frame of 4 slots
;;!      0     0x40  i64.load [24] -> acc
;;!     16     0x43  return acc
;;!     32     0x43  unreachable
;;! function 2 $stores: frame of 7 slots
;;!      0     0x4b  i32.store8 [s0] 65
;;!     16     0x52  f64.store [s0 + 8] s1
;;!     32     0x55  return
;;!     48     0x55  unreachable
;;! function 3 $grow: frame of 5 slots
;;!      0     0x5a  move s0 -> s3
;;!     16     0x5a  memory.grow from s3, by the driver
;;!     40     0x5d  memory.size 0 -> acc
;;!     64     0x5f  return acc
;;!     80     0x5f  unreachable
