;; The header of a loop looks whether it shall stop, and gives up what is live.
(module
  (func $sum (param $n i32) (result i32)
    (local $sum i32) (local $old i32)
    (loop $next
      (local.set $old (local.get $sum))
      (local.set $sum (i32.add (local.get $old) (local.get $n)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))
  (func $nested (param $rows i32) (param $columns i64) (result i64)
    (local $column i64) (local $count i64)
    (loop $row
      (local.set $column (local.get $columns))
      (loop $cell
        (local.set $count (i64.add (local.get $count) (i64.const 1)))
        (local.set $column (i64.sub (local.get $column) (i64.const 1)))
        (br_if $cell (i32.wrap_i64 (local.get $column))))
      (br_if $row (local.tee $rows (i32.sub (local.get $rows) (i32.const 1)))))
    (local.get $count)))

;;! function 0 $sum
;;! function u0:0(i64 vmctx, i32) -> i32 system_v {
;;!     region0 = 0 "heap"
;;!     region1 = 1 "vm"
;;!     region2 = 2 "record"
;;!     region3 = 3 "table"
;;!     region4 = 4 "global"
;;!     region5 = 5 "results"
;;!     gv0 = vmctx
;;!     gv1 = load.i64 notrap aligned gv0+184
;;!     sig0 = () preserve_all
;;!     stack_limit = gv1
;;!
;;! block0(v0: i64, v1: i32):
;;!            v2 = load.i64 notrap aligned readonly can_move region1 v0+88
;;!            v3 = iconst.i32 0
;;!            v4 = iconst.i32 0
;;!      0x22  jump block1(v1, v3)  ; v3 = 0
;;!
;;! block1(v8: i32, v9: i32):
;;!      0x22  v5 = load.i32 notrap aligned region1 v0+180
;;!      0x22  brif v5, block2, block3
;;!
;;! block2 cold:
;;!      0x22  v6 = load.i64 notrap aligned region1 v0+208
;;!            call_indirect sig0, v6()
;;!      0x22  v7 = load.i64 notrap aligned region1 v0+240
;;!      0x22  brif v7, block6(v7), block1(v8, v9)
;;!
;;! block3:
;;!      0x2c  v11 = iadd.i32 v9, v8
;;!      0x31  v12 = iconst.i32 1
;;!      0x33  v13 = isub.i32 v8, v12  ; v12 = 1
;;!      0x36  brif v13, block1(v13, v11), block5
;;!
;;! block5:
;;!      0x3b  return v11
;;!
;;! block6(v14: i64) cold:
;;!      0x3b  store.i32 notrap region2 v9, v14+8
;;!      0x3b  store.i32 notrap region2 v8, v14
;;!      0x3b  v15 = iconst.i32 0
;;!      0x3b  return v15  ; v15 = 0
;;! }
;;!
;;! function 1 $nested
;;! function u0:0(i64 vmctx, i32, i64) -> i64 system_v {
;;!     region0 = 0 "heap"
;;!     region1 = 1 "vm"
;;!     region2 = 2 "record"
;;!     region3 = 3 "table"
;;!     region4 = 4 "global"
;;!     region5 = 5 "results"
;;!     gv0 = vmctx
;;!     gv1 = load.i64 notrap aligned gv0+184
;;!     sig0 = () preserve_all
;;!     stack_limit = gv1
;;!
;;! block0(v0: i64, v1: i32, v2: i64):
;;!            v10 -> v2
;;!            v17 -> v10
;;!            v3 = load.i64 notrap aligned readonly can_move region1 v0+88
;;!            v4 = iconst.i64 0
;;!            v5 = iconst.i64 0
;;!      0x40  jump block1(v1, v5)  ; v5 = 0
;;!
;;! block1(v9: i32, v11: i64):
;;!            v16 -> v9
;;!      0x40  v6 = load.i32 notrap aligned region1 v0+180
;;!      0x40  brif v6, block2, block3
;;!
;;! block2 cold:
;;!      0x40  v7 = load.i64 notrap aligned region1 v0+208
;;!            call_indirect sig0, v7()
;;!      0x40  v8 = load.i64 notrap aligned region1 v0+240
;;!      0x40  brif v8, block10(v8), block1(v9, v11)
;;!
;;! block3:
;;!      0x46  jump block5(v10, v11)
;;!
;;! block5(v18: i64, v19: i64):
;;!      0x46  v13 = load.i32 notrap aligned region1 v0+180
;;!      0x46  brif v13, block6, block7
;;!
;;! block6 cold:
;;!      0x46  v14 = load.i64 notrap aligned region1 v0+208
;;!            call_indirect sig0, v14()
;;!      0x46  v15 = load.i64 notrap aligned region1 v0+240
;;!      0x46  brif v15, block12(v15), block5(v18, v19)
;;!
;;! block7:
;;!      0x4a  v20 = iconst.i64 1
;;!      0x4c  v21 = iadd.i64 v19, v20  ; v20 = 1
;;!      0x51  v22 = iconst.i64 1
;;!      0x53  v23 = isub.i64 v18, v22  ; v22 = 1
;;!      0x58  v24 = ireduce.i32 v23
;;!      0x59  brif v24, block5(v23, v21), block8
;;!
;;! block8:
;;!      0x5e  v25 = iconst.i32 1
;;!      0x60  v26 = isub.i32 v16, v25  ; v25 = 1
;;!      0x63  brif v26, block1(v26, v21), block9
;;!
;;! block9:
;;!      0x68  return v21
;;!
;;! block10(v27: i64) cold:
;;!      0x68  store.i64 notrap region2 v11, v27+16
;;!      0x68  jump block11(v27)
;;!
;;! block11(v28: i64) cold:
;;!      0x68  store.i32 notrap region2 v9, v28+8
;;!      0x68  store.i64 notrap region2 v2, v28
;;!      0x68  v29 = iconst.i64 0
;;!      0x68  return v29  ; v29 = 0
;;!
;;! block12(v30: i64) cold:
;;!      0x68  store.i64 notrap region2 v19, v30+24
;;!      0x68  store.i64 notrap region2 v18, v30+16
;;!      0x68  jump block11(v30)
;;! }
