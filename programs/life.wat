;; life: Conway's game of life on a ring of 64 by 24 cells, drawn in the terminal.
;;
;; Shows: two buffers that swap, terminal escapes, and a program that draws ten times a second.
;; Try:   brant run programs/life.wat 100     a hundred generations of an R-pentomino
;;        brant run programs/life.wat 0       the first picture only
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (memory (export "memory") 1)

  ;; 0: iovec; 8, 12: results; 16: "cursor home"; 64: subscription (see counter.wat), 128: event
  ;; 1024: argument pointers; 2048: argument bytes; 8192 and 12288: cells, one byte each; 16384: picture
  (data (i32.const 16) "\1b[H")
  (data (i32.const 80) "\01\00\00\00\00\00\00\00" "\00\e1\f5\05\00\00\00\00")
  ;; An R-pentomino in the middle.
  (data (i32.const 8928) "\00\01\01")
  (data (i32.const 8992) "\01\01\00")
  (data (i32.const 9056) "\00\01\00")

  (global $now (mut i32) (i32.const 8192))
  (global $next (mut i32) (i32.const 12288))

  ;; The cell at (x, y); both wrap around.
  (func $cell (param $x i32) (param $y i32) (result i32)
    (i32.load8_u (i32.add (global.get $now)
      (i32.add
        (i32.shl (i32.rem_u (i32.add (local.get $y) (i32.const 24)) (i32.const 24)) (i32.const 6))
        (i32.and (local.get $x) (i32.const 63))))))

  (func $neighbours (param $x i32) (param $y i32) (result i32)
    (local $left i32) (local $right i32) (local $up i32) (local $down i32)
    (local.set $left (i32.sub (local.get $x) (i32.const 1)))
    (local.set $right (i32.add (local.get $x) (i32.const 1)))
    (local.set $up (i32.sub (local.get $y) (i32.const 1)))
    (local.set $down (i32.add (local.get $y) (i32.const 1)))
    (call $cell (local.get $left) (local.get $up))
    (i32.add (call $cell (local.get $x) (local.get $up)))
    (i32.add (call $cell (local.get $right) (local.get $up)))
    (i32.add (call $cell (local.get $left) (local.get $y)))
    (i32.add (call $cell (local.get $right) (local.get $y)))
    (i32.add (call $cell (local.get $left) (local.get $down)))
    (i32.add (call $cell (local.get $x) (local.get $down)))
    (i32.add (call $cell (local.get $right) (local.get $down))))

  ;; A cell lives on with two or three neighbours, and is born with three.
  (func $step
    (local $x i32) (local $y i32) (local $n i32)
    (loop $row
      (local.set $x (i32.const 0))
      (loop $column
        (local.set $n (call $neighbours (local.get $x) (local.get $y)))
        (i32.store8
          (i32.add (global.get $next) (i32.add (i32.shl (local.get $y) (i32.const 6)) (local.get $x)))
          (i32.or
            (i32.eq (local.get $n) (i32.const 3))
            (i32.and (i32.eq (local.get $n) (i32.const 2)) (call $cell (local.get $x) (local.get $y)))))
        (br_if $column (i32.lt_u (local.tee $x (i32.add (local.get $x) (i32.const 1))) (i32.const 64))))
      (br_if $row (i32.lt_u (local.tee $y (i32.add (local.get $y) (i32.const 1))) (i32.const 24))))
    (global.set $now (global.get $next))
    (global.set $next (i32.sub (i32.const 20480) (global.get $next))))

  (func $write (param $from i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $from))
    (i32.store (i32.const 4) (local.get $length))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))

  (func $draw
    (local $x i32) (local $y i32) (local $at i32)
    (local.set $at (i32.const 16384))
    (loop $row
      (local.set $x (i32.const 0))
      (loop $column
        (i32.store8 (local.get $at)
          (select (i32.const 35) (i32.const 46) (call $cell (local.get $x) (local.get $y))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $column (i32.lt_u (local.tee $x (i32.add (local.get $x) (i32.const 1))) (i32.const 64))))
      (i32.store8 (local.get $at) (i32.const 10))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $row (i32.lt_u (local.tee $y (i32.add (local.get $y) (i32.const 1))) (i32.const 24))))
    (call $write (i32.const 16384) (i32.sub (local.get $at) (i32.const 16384))))

  ;; The first argument as a number; 100 where there is none.
  (func $generations (result i32)
    (local $at i32) (local $digit i32) (local $n i32)
    (drop (call $args_sizes_get (i32.const 8) (i32.const 12)))
    (if (i32.or (i32.lt_u (i32.load (i32.const 8)) (i32.const 2))
                (i32.or (i32.gt_u (i32.load (i32.const 8)) (i32.const 256))
                        (i32.gt_u (i32.load (i32.const 12)) (i32.const 4096))))
      (then (return (i32.const 100))))
    (drop (call $args_get (i32.const 1024) (i32.const 2048)))
    (local.set $at (i32.load (i32.const 1028)))
    (block $end
      (loop $next
        (local.set $digit (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)))
        (br_if $end (i32.gt_u (local.get $digit) (i32.const 9)))
        (local.set $n (i32.add (i32.mul (local.get $n) (i32.const 10)) (local.get $digit)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (local.get $n))

  (func (export "_start")
    (local $left i32)
    (local.set $left (call $generations))
    (call $draw)
    (block $done
      (loop $generation
        (br_if $done (i32.eqz (local.get $left)))
        (drop (call $poll_oneoff (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 8)))
        (call $step)
        (call $write (i32.const 16) (i32.const 3))
        (call $draw)
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br $generation)))))
