;; A call may be a stop: what is live lies in the frame, and the pad stores it.
(module
  (import "" "tick" (func $tick (param i32) (result i32)))
  (func $leaf (param $x i32) (result i32)
    (i32.add (local.get $x) (i32.const 1)))
  (func $twice (param $x i32) (param $y i64) (result i64)
    (drop (call $leaf (local.get $x)))
    (i64.add (local.get $y) (i64.extend_i32_u (call $tick (i32.const 7))))))

;;! function 1 $leaf
;;! function u0:0(i64 vmctx, i32) -> i32 system_v {
;;!     region0 = 0 "heap"
;;!     region1 = 1 "vm"
;;!     region2 = 2 "record"
;;!     region3 = 3 "table"
;;!     region4 = 4 "global"
;;!     region5 = 5 "results"
;;!     region6 = 6 "call"
;;!
;;! block0(v0: i64, v1: i32):
;;!            v2 = load.i64 notrap aligned readonly can_move region1 v0+88
;;!      0x2d  v3 = iconst.i32 1
;;!      0x2f  v4 = iadd v1, v3  ; v3 = 1
;;!      0x30  return v4
;;! }
;;!
;;! function 2 $twice
;;! function u0:0(i64 vmctx, i32, i64) -> i64 system_v {
;;!     region0 = 0 "heap"
;;!     region1 = 1 "vm"
;;!     region2 = 2 "record"
;;!     region3 = 3 "table"
;;!     region4 = 4 "global"
;;!     region5 = 5 "results"
;;!     region6 = 6 "call"
;;!     gv0 = vmctx
;;!     gv1 = load.i64 notrap aligned gv0+192
;;!     sig0 = (i64 vmctx, i32) -> i32 system_v
;;!     stack_limit = gv1
;;!
;;! block0(v0: i64, v1: i32, v2: i64):
;;!            v3 = load.i64 notrap aligned readonly can_move region1 v0+88
;;!      0x35  v4 = load.i64 notrap aligned region1 v0+488
;;!      0x35  try_call_indirect v4(v0, v1), sig0, block2(ret0), [ tag0: block4(exn0) ]
;;!
;;! block2(v6: i32):
;;!      0x3a  v7 = iconst.i32 7
;;!      0x3c  v8 = load.i64 notrap aligned region1 v0+480
;;!      0x3c  try_call_indirect v8(v0, v7), sig0, block3(ret0), [ tag1: block4(exn0) ]  ; v7 = 7
;;!
;;! block3(v9: i32):
;;!      0x3e  v10 = uextend.i64 v9
;;!      0x3f  v11 = iadd.i64 v2, v10
;;!      0x40  return v11
;;!
;;! block4(v12: i64) cold:
;;!      0x40  store.i64 notrap region2 v2, v12
;;!      0x40  return v12
;;! }
