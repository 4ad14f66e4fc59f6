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
;;!     region6 = 6 "call"
;;!     gv0 = vmctx
;;!     gv1 = load.i64 notrap aligned gv0+192
;;!     sig0 = () preserve_all
;;!     stack_limit = gv1
;;!
;;! block0(v0: i64, v1: i32):
;;!            v2 = load.i64 notrap aligned readonly can_move region1 v0+88
;;!            v3 = iconst.i32 0
;;!            v4 = iconst.i32 0
;;!      0x22  jump block1(v1, v3)  ; v3 = 0
;;!
;;! block1(v9: i32, v10: i32):
;;!      0x22  v5 = load.i64 notrap aligned region1 v0+184
;;!      0x22  v6 = icmp.i64 ult v0, v5
;;!      0x22  brif v6, block2, block3
;;!
;;! block2 cold:
;;!      0x22  v7 = load.i64 notrap aligned region1 v0+208
;;!            call_indirect sig0, v7()
;;!      0x22  v8 = load.i64 notrap aligned region1 v0+472
;;!      0x22  brif v8, block13(v8), block1(v9, v10)
;;!
;;! block3:
;;!      0x2c  v12 = iadd.i32 v10, v9
;;!      0x31  v13 = iconst.i32 1
;;!      0x33  v14 = isub.i32 v9, v13  ; v13 = 1
;;!      0x36  brif v14, block5, block6
;;!
;;! block6:
;;!      0x38  jump block7(v12)
;;!
;;! block5:
;;!      0x2c  v15 = iadd.i32 v12, v14
;;!      0x31  v16 = iconst.i32 1
;;!      0x33  v17 = isub.i32 v14, v16  ; v16 = 1
;;!      0x36  brif v17, block8, block9
;;!
;;! block9:
;;!      0x38  jump block7(v15)
;;!
;;! block8:
;;!      0x2c  v18 = iadd.i32 v15, v17
;;!      0x31  v19 = iconst.i32 1
;;!      0x33  v20 = isub.i32 v17, v19  ; v19 = 1
;;!      0x36  brif v20, block10, block11
;;!
;;! block11:
;;!      0x38  jump block7(v18)
;;!
;;! block10:
;;!      0x2c  v21 = iadd.i32 v18, v20
;;!      0x31  v22 = iconst.i32 1
;;!      0x33  v23 = isub.i32 v20, v22  ; v22 = 1
;;!      0x36  brif v23, block1(v23, v21), block12
;;!
;;! block12:
;;!      0x38  jump block7(v21)
;;!
;;! block7(v24: i32):
;;!      0x3b  return v24
;;!
;;! block13(v25: i64) cold:
;;!      0x3b  store.i32 notrap region2 v10, v25+8
;;!      0x3b  store.i32 notrap region2 v9, v25
;;!      0x3b  v26 = ireduce.i32 v25
;;!      0x3b  return v26
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
;;!     region6 = 6 "call"
;;!     gv0 = vmctx
;;!     gv1 = load.i64 notrap aligned gv0+192
;;!     sig0 = () preserve_all
;;!     stack_limit = gv1
;;!
;;! block0(v0: i64, v1: i32, v2: i64):
;;!            v11 -> v2
;;!            v19 -> v11
;;!            v45 -> v11
;;!            v3 = load.i64 notrap aligned readonly can_move region1 v0+88
;;!            v4 = iconst.i64 0
;;!            v5 = iconst.i64 0
;;!      0x40  jump block1(v1, v5)  ; v5 = 0
;;!
;;! block1(v10: i32, v12: i64):
;;!            v18 -> v10
;;!            v42 -> v10
;;!      0x40  v6 = load.i64 notrap aligned region1 v0+184
;;!      0x40  v7 = icmp.i64 ult v0, v6
;;!      0x40  brif v7, block2, block3
;;!
;;! block2 cold:
;;!      0x40  v8 = load.i64 notrap aligned region1 v0+208
;;!            call_indirect sig0, v8()
;;!      0x40  v9 = load.i64 notrap aligned region1 v0+472
;;!      0x40  brif v9, block17(v9), block1(v10, v12)
;;!
;;! block3:
;;!      0x46  jump block5(v11, v12)
;;!
;;! block5(v20: i64, v21: i64):
;;!      0x46  v14 = load.i64 notrap aligned region1 v0+184
;;!      0x46  v15 = icmp.i64 ult v0, v14
;;!      0x46  brif v15, block6, block7
;;!
;;! block6 cold:
;;!      0x46  v16 = load.i64 notrap aligned region1 v0+208
;;!            call_indirect sig0, v16()
;;!      0x46  v17 = load.i64 notrap aligned region1 v0+472
;;!      0x46  brif v17, block19(v17), block5(v20, v21)
;;!
;;! block7:
;;!      0x4a  v22 = iconst.i64 1
;;!      0x4c  v23 = iadd.i64 v21, v22  ; v22 = 1
;;!      0x51  v24 = iconst.i64 1
;;!      0x53  v25 = isub.i64 v20, v24  ; v24 = 1
;;!      0x58  v26 = ireduce.i32 v25
;;!      0x59  brif v26, block8, block9
;;!
;;! block9:
;;!      0x5b  jump block10(v23)
;;!
;;! block8:
;;!      0x4a  v27 = iconst.i64 1
;;!      0x4c  v28 = iadd.i64 v23, v27  ; v27 = 1
;;!      0x51  v29 = iconst.i64 1
;;!      0x53  v30 = isub.i64 v25, v29  ; v29 = 1
;;!      0x58  v31 = ireduce.i32 v30
;;!      0x59  brif v31, block11, block12
;;!
;;! block12:
;;!      0x5b  jump block10(v28)
;;!
;;! block11:
;;!      0x4a  v32 = iconst.i64 1
;;!      0x4c  v33 = iadd.i64 v28, v32  ; v32 = 1
;;!      0x51  v34 = iconst.i64 1
;;!      0x53  v35 = isub.i64 v30, v34  ; v34 = 1
;;!      0x58  v36 = ireduce.i32 v35
;;!      0x59  brif v36, block13, block14
;;!
;;! block14:
;;!      0x5b  jump block10(v33)
;;!
;;! block13:
;;!      0x4a  v37 = iconst.i64 1
;;!      0x4c  v38 = iadd.i64 v33, v37  ; v37 = 1
;;!      0x51  v39 = iconst.i64 1
;;!      0x53  v40 = isub.i64 v35, v39  ; v39 = 1
;;!      0x58  v41 = ireduce.i32 v40
;;!      0x59  brif v41, block5(v40, v38), block15
;;!
;;! block15:
;;!      0x5b  jump block10(v38)
;;!
;;! block10(v46: i64):
;;!      0x5e  v43 = iconst.i32 1
;;!      0x60  v44 = isub.i32 v10, v43  ; v43 = 1
;;!      0x63  brif v44, block1(v44, v46), block16
;;!
;;! block16:
;;!      0x68  return v46
;;!
;;! block17(v47: i64) cold:
;;!      0x68  store.i64 notrap region2 v12, v47+16
;;!      0x68  jump block18(v47)
;;!
;;! block18(v48: i64) cold:
;;!      0x68  store.i32 notrap region2 v10, v48+8
;;!      0x68  store.i64 notrap region2 v2, v48
;;!      0x68  return v48
;;!
;;! block19(v49: i64) cold:
;;!      0x68  store.i64 notrap region2 v21, v49+24
;;!      0x68  store.i64 notrap region2 v20, v49+16
;;!      0x68  jump block18(v49)
;;! }
