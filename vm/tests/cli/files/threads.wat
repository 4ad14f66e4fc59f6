;; Three threads: one waits at an address for ever, one for 50 ms, one sleeps in a call. The first
;; one computes, wakes the first of those who wait, and sees how the other wait ended.
(module
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff"
    (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "env" "memory" (memory 1 1 shared))
  (global $turns (mut i32) (i32.const 0))
  (func $sleep
    (i32.store (i32.const 272) (i32.const 1))
    (i64.store (i32.const 280) (i64.const 30000000))
    (drop (call $poll (i32.const 256) (i32.const 384) (i32.const 1) (i32.const 448))))
  (func (export "wasi_thread_start") (param $id i32) (param $argument i32)
    (global.set $turns (local.get $id))
    (if (i32.eqz (local.get $argument))
      (then (drop (memory.atomic.wait32 (i32.const 16) (i32.const 0) (i64.const -1)))))
    (if (i32.eq (local.get $argument) (i32.const 1))
      (then
        (i32.atomic.store (i32.const 8)
          (memory.atomic.wait32 (i32.const 16) (i32.const 0) (i64.const 50000000)))))
    (if (i32.eq (local.get $argument) (i32.const 2)) (then (call $sleep)))
    (drop (i32.atomic.rmw.add (i32.const 4) (i32.const 1)))
    (drop (memory.atomic.notify (i32.const 4) (i32.const -1))))
  (func (export "_start") (local $i i32)
    (loop $more
      (drop (call $spawn (local.get $i)))
      (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 3))))
    (loop $compute
      (br_if $compute
        (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 60000))))
    (drop (memory.atomic.notify (i32.const 16) (i32.const 1)))
    (loop $join
      (local.set $i (i32.atomic.load (i32.const 4)))
      (if (i32.lt_u (local.get $i) (i32.const 3))
        (then
          (drop (memory.atomic.wait32 (i32.const 4) (local.get $i) (i64.const -1)))
          (br $join))))
    (call $exit (i32.atomic.load (i32.const 8)))))
