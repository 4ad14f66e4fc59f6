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
;;!     region6 = 6 "call"
;;!
;;! block0(v0: i64, v1: i32):
;;!            v2 = load.i64 notrap aligned readonly can_move region1 v0+88
;;!      0x2d  v3 = uextend.i64 v1
;;!      0x2d  v4 = iadd v2, v3
;;!      0x2d  v5 = load.i64 user32 little region0 v4+8
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
;;!     region6 = 6 "call"
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
;;!      0x35  v16 = load.i32 user32 little region0 v15
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
;;!     region6 = 6 "call"
;;!     gv0 = vmctx
;;!     gv1 = load.i64 notrap aligned gv0+192
;;!     sig0 = (i64 vmctx, i32, i32, i32, i64, i64, i64) -> i64 system_v
;;!     sig1 = (i64, i32, i64) system_v
;;!     stack_limit = gv1
;;!
;;! block0(v0: i64, v1: i32):
;;!            v2 = load.i64 notrap aligned readonly can_move region1 v0+88
;;!      0x3e  v3 = iconst.i32 0
;;!      0x40  v4 = iconst.i32 4096
;;!      0x43  v5 = uextend.i64 v1
;;!      0x43  v6 = uextend.i64 v4  ; v4 = 4096
;;!      0x43  v7 = iadd v5, v6
;;!      0x43  v8 = load.i64 notrap aligned region1 v0+96
;;!      0x43  v9 = icmp ugt v7, v8
;;!      0x43  v10 = iconst.i64 0x0001_0000
;;!      0x43  v11 = icmp ugt v6, v10  ; v10 = 0x0001_0000
;;!      0x43  v12 = bor v9, v11
;;!      0x43  brif v12, block1, block2
;;!
;;! block1 cold:
;;!      0x43  v13 = iconst.i32 4
;;!      0x43  v14 = iconst.i32 0
;;!      0x43  v15 = iconst.i32 0
;;!      0x43  v16 = uextend.i64 v1
;;!      0x43  v17 = uextend.i64 v3  ; v3 = 0
;;!      0x43  v18 = uextend.i64 v4  ; v4 = 4096
;;!      0x43  v19 = load.i64 notrap aligned region1 v0+216
;;!      0x43  try_call_indirect v19(v0, v13, v14, v15, v16, v17, v18), sig0, block5(ret0), [ tag0: block6(exn0) ]  ; v13 = 4, v14 = 0, v15 = 0
;;!
;;! block5(v21: i64) cold:
;;!      0x43  jump block3
;;!
;;! block2:
;;!      0x43  v22 = iadd.i64 v2, v5
;;!      0x43  v23 = load.i64 notrap aligned region1 v0+464
;;!            call_indirect sig1, v23(v22, v3, v6)  ; v3 = 0
;;!      0x43  jump block3
;;!
;;! block3:
;;!      0x46  return
;;!
;;! block6(v24: i64) cold:
;;!      0x46  return
;;! }
