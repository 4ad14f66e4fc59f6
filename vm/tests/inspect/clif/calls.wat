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
;;!     gv0 = vmctx
;;!     gv1 = load.i64 notrap aligned gv0+184
;;!     sig0 = (i64 vmctx, i32) -> i32 system_v
;;!     stack_limit = gv1
;;!
;;! block0(v0: i64, v1: i32, v2: i64):
;;!            v3 = load.i64 notrap aligned readonly can_move region1 v0+88
;;!      0x35  v4 = load.i64 notrap aligned readonly can_move region1 v0+192
;;!      0x35  v5 = load.i64 notrap aligned region1 v4+8
;;!      0x35  try_call_indirect v5(v0, v1), sig0, block2(ret0), [ tag0: block4(exn0) ]
;;!
;;! block2(v7: i32):
;;!      0x3a  v8 = iconst.i32 7
;;!      0x3c  v9 = load.i64 notrap aligned readonly can_move region1 v0+192
;;!      0x3c  v10 = load.i64 notrap aligned region1 v9
;;!      0x3c  try_call_indirect v10(v0, v8), sig0, block3(ret0), [ tag1: block4(exn0) ]  ; v8 = 7
;;!
;;! block3(v11: i32):
;;!      0x3e  v12 = uextend.i64 v11
;;!      0x3f  v13 = iadd.i64 v2, v12
;;!      0x40  return v13
;;!
;;! block4(v14: i64) cold:
;;!      0x40  store.i64 notrap region2 v2, v14
;;!      0x40  v15 = iconst.i64 0
;;!      0x40  return v15  ; v15 = 0
;;! }
