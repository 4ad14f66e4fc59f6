;; Loops that begin at the same place have a record each, so that a run that comes back to one of
;; them stands at that one's site.
(module
  (func $outer (param $times i32)
    (loop $outer
      (loop $inner
        (local.set $times (i32.sub (local.get $times) (i32.const 1)))
        (br_if $inner (i32.and (local.get $times) (i32.const 3)))
        (br_if $outer (local.get $times))))))

;;! function 0 $outer: frame of 6 slots
;;!      0     0x1a  jump to @16
;;!     16     0x20  i32.sub s0 1 -> s0 acc
;;!     32     0x28  if i32.and acc 3 back to @16
;;!     48     0x2c  unless i32.eqz acc back to @0
;;!     64     0x30  return
;;!     80     0x30  unreachable
