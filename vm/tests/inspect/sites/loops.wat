;; A loop keeps what its next turn reads; the header of an inner one keeps what the outer one reads.
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

;;! function 0 $sum: 4 sites, 3 locals
;;!      0     0x1f  entry      live 0:i32 1:i32
;;!      1     0x22  loop       live 0:i32 1:i32
;;!      2     0x36  block      live 0:i32 1:i32 2:i32
;;!      3     0x38  block      live 0:i32 1:i32 2:i32
;;! function 1 $nested: 7 sites, 4 locals
;;!      0     0x3d  entry      live 0:i32 1:i64 3:i64
;;!      1     0x40  loop       live 0:i32 1:i64 3:i64
;;!      2     0x46  loop       live 0:i32 1:i64 2:i64 3:i64
;;!      3     0x59  block      live 0:i32 1:i64 2:i64 3:i64
;;!      4     0x5b  block      live 0:i32 1:i64 2:i64 3:i64
;;!      5     0x63  block      live 0:i32 1:i64 2:i64 3:i64
;;!      6     0x65  block      live 0:i32 1:i64 2:i64 3:i64
