;; counter: a number on each line, one more each time, ten lines a second.
;;
;; Shows: state that lives in a local and in memory, and a program that mostly sleeps.
;;        It is the one to stop, move and continue: a lost or repeated line is seen at once.
;; Try:   brant run programs/counter.wat        counts until it is stopped
;;        brant run programs/counter.wat 5      counts to 5
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff"
    (func $poll_oneoff (param $in i32) (param $out i32) (param $count i32) (param $ready i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)

  ;; 0: iovec; 8: a result that nobody reads; 16..48: digits, written from the end, then a newline
  ;; 64: subscription to the monotonic clock, 100 ms from now; 128: event
  ;; 1024: argument pointers; 4096: argument bytes
  (data (i32.const 47) "\n")
  (data (i32.const 64)
    "\00\00\00\00\00\00\00\00"     ;; userdata
    "\00\00\00\00\00\00\00\00"     ;; kind: clock
    "\01\00\00\00\00\00\00\00"     ;; monotonic
    "\00\e1\f5\05\00\00\00\00"     ;; timeout: 100,000,000 ns
    "\00\00\00\00\00\00\00\00"     ;; precision
    "\00\00\00\00\00\00\00\00")    ;; flags: relative

  ;; Writes $n in decimal and a newline.
  (func $print (param $n i64)
    (local $at i32)
    (local.set $at (i32.const 47))
    (loop $digit
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at)
        (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $n) (i64.const 10)))))
      (local.set $n (i64.div_u (local.get $n) (i64.const 10)))
      (br_if $digit (i64.ne (local.get $n) (i64.const 0))))
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (i32.sub (i32.const 48) (local.get $at)))
    ;; Nobody reads any more: end.
    (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))
      (then (call $proc_exit (i32.const 1)))))

  ;; The first argument as a number; the largest number where there is none.
  (func $limit (result i64)
    (local $at i32) (local $digit i32) (local $n i64)
    (drop (call $args_sizes_get (i32.const 8) (i32.const 12)))
    (if (i32.or (i32.lt_u (i32.load (i32.const 8)) (i32.const 2))
                (i32.or (i32.gt_u (i32.load (i32.const 8)) (i32.const 512))
                        (i32.gt_u (i32.load (i32.const 12)) (i32.const 32768))))
      (then (return (i64.const -1))))
    (drop (call $args_get (i32.const 1024) (i32.const 4096)))
    (local.set $at (i32.load (i32.const 1028)))
    (block $end
      (loop $next
        (local.set $digit (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)))
        (br_if $end (i32.gt_u (local.get $digit) (i32.const 9)))
        (local.set $n (i64.add (i64.mul (local.get $n) (i64.const 10)) (i64.extend_i32_u (local.get $digit))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (local.get $n))

  (func (export "_start")
    (local $n i64) (local $limit i64)
    (local.set $limit (call $limit))
    (block $done
      (loop $count
        (br_if $done (i64.ge_u (local.get $n) (local.get $limit)))
        (local.set $n (i64.add (local.get $n) (i64.const 1)))
        (call $print (local.get $n))
        (drop (call $poll_oneoff (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 8)))
        (br $count)))))
