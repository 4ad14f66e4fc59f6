;; mandelbrot: writes a picture of the Mandelbrot set, 320 by 240, as a PGM file on standard output.
;;
;; Shows: floating point in a tight loop, folded expressions, and one large write at the end.
;; Try:   brant run programs/mandelbrot.wat > mandelbrot.pgm
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)

  ;; 0: iovec; 8: bytes written; 16: file header of 15 bytes; 31: pixels, one byte each
  (data (i32.const 16) "P5\n320 240\n255\n")

  ;; How many steps z = z * z + c takes to leave the circle of radius 2, at most 255.
  (func $steps (param $cr f64) (param $ci f64) (result i32)
    (local $zr f64) (local $zi f64) (local $zr2 f64) (local $zi2 f64) (local $n i32)
    (loop $step
      (local.set $zi (f64.add (f64.mul (f64.mul (f64.const 2) (local.get $zr)) (local.get $zi)) (local.get $ci)))
      (local.set $zr (f64.add (f64.sub (local.get $zr2) (local.get $zi2)) (local.get $cr)))
      (local.set $zr2 (f64.mul (local.get $zr) (local.get $zr)))
      (local.set $zi2 (f64.mul (local.get $zi) (local.get $zi)))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $step
        (i32.and
          (f64.le (f64.add (local.get $zr2) (local.get $zi2)) (f64.const 4))
          (i32.lt_u (local.get $n) (i32.const 255)))))
    (local.get $n))

  ;; Writes all $length bytes at $from.
  (func $write (param $from i32) (param $length i32)
    (block $done
      (loop $more
        (br_if $done (i32.eqz (local.get $length)))
        (i32.store (i32.const 0) (local.get $from))
        (i32.store (i32.const 4) (local.get $length))
        (br_if $done (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (local.set $from (i32.add (local.get $from) (i32.load (i32.const 8))))
        (local.set $length (i32.sub (local.get $length) (i32.load (i32.const 8))))
        (br $more))))

  (func (export "_start")
    (local $x i32) (local $y i32) (local $at i32)
    (local.set $at (i32.const 31))
    (loop $row
      (local.set $x (i32.const 0))
      (loop $pixel
        (i32.store8 (local.get $at)
          (i32.sub (i32.const 255)
            (call $steps
              (f64.sub (f64.div (f64.convert_i32_u (local.get $x)) (f64.const 100)) (f64.const 2.3))
              (f64.sub (f64.div (f64.convert_i32_u (local.get $y)) (f64.const 100)) (f64.const 1.2)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $pixel (i32.lt_u (local.tee $x (i32.add (local.get $x) (i32.const 1))) (i32.const 320))))
      (br_if $row (i32.lt_u (local.tee $y (i32.add (local.get $y) (i32.const 1))) (i32.const 240))))
    (call $write (i32.const 16) (i32.add (i32.const 15) (i32.const 76800)))))
