;; A guarded memory needs no check, a second memory does; an offset beyond the guard does too.
(module
  (memory $first 1)
  (memory $second 1)
  (func $load (param $at i32) (result i64)
    (i64.load offset=8 (local.get $at)))
  (func $second (param $at i32) (result i32)
    (i32.load $second (local.get $at)))
  (func $fill (param $at i32)
    (memory.fill (local.get $at) (i32.const 0) (i32.const 4096))))

;;! function 0 $load
;;! function u0:0(i64 vmctx, i32) -> i64 system_v {
;;!     region0 = 0 "heap"
;;!     region1 = 1 "vm"
;;!     region2 = 2 "record"
;;!     region3 = 3 "table"
;;!     region4 = 4 "global"
;;!     region5 = 5 "results"
;;!
;;! block0(v0: i64, v1: i32):
;;!            v2 = load.i64 notrap aligned readonly can_move region1 v0+88
;;!      0x2d  v3 = uextend.i64 v1
;;!      0x2d  v4 = iadd v2, v3
;;!      0x2d  v5 = load.i64 user5 little region0 v4+8
;;!      0x30  return v5
;;! }
;;!
;;! function 1 $second
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
;;!      0x35  v3 = uextend.i64 v1
;;!      0x35  v4 = load.i64 notrap aligned readonly can_move region1 v0+136
;;!      0x35  v5 = load.i64 notrap aligned readonly can_move region1 v4+8
;;!      0x35  v6 = load.i64 notrap aligned readonly can_move region1 v5
;;!      0x35  v7 = load.i64 notrap aligned region1 v5+8
;;!      0x35  v8 = iconst.i64 4
;;!      0x35  v9 = iadd v3, v8  ; v8 = 4
;;!      0x35  v10 = icmp ugt v9, v7
;;!      0x35  v11 = iconst.i64 0
;;!      0x35  v12 = iadd v6, v3
;;!      0x35  v13 = iadd v12, v11  ; v11 = 0
;;!      0x35  v14 = iconst.i64 0
;;!      0x35  v15 = select_spectre_guard v10, v14, v13  ; v14 = 0
;;!      0x35  v16 = load.i32 user5 little region0 v15
;;!      0x39  return v16
;;! }
;;!
;;! function 2 $fill
;;! function u0:0(i64 vmctx, i32) system_v {
;;!     region0 = 0 "heap"
;;!     region1 = 1 "vm"
;;!     region2 = 2 "record"
;;!     region3 = 3 "table"
;;!     region4 = 4 "global"
;;!     region5 = 5 "results"
;;!     gv0 = vmctx
;;!     gv1 = load.i64 notrap aligned gv0+184
;;!     sig0 = (i64 vmctx, i32, i32, i32, i64, i64, i64) -> i64 system_v
;;!     stack_limit = gv1
;;!
;;! block0(v0: i64, v1: i32):
;;!            v2 = load.i64 notrap aligned readonly can_move region1 v0+88
;;!      0x3e  v3 = iconst.i32 0
;;!      0x40  v4 = iconst.i32 4096
;;!      0x43  v5 = iconst.i32 4
;;!      0x43  v6 = iconst.i32 0
;;!      0x43  v7 = iconst.i32 0
;;!      0x43  v8 = uextend.i64 v1
;;!      0x43  v9 = uextend.i64 v3  ; v3 = 0
;;!      0x43  v10 = uextend.i64 v4  ; v4 = 4096
;;!      0x43  v11 = load.i64 notrap aligned region1 v0+216
;;!      0x43  try_call_indirect v11(v0, v5, v6, v7, v8, v9, v10), sig0, block2(ret0), [ tag0: block3(exn0) ]  ; v5 = 4, v6 = 0, v7 = 0
;;!
;;! block2(v13: i64):
;;!      0x46  return
;;!
;;! block3(v14: i64) cold:
;;!      0x46  return
;;! }
