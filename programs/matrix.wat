;; matrix: multiplies two 128 by 128 matrices of f32, once by numbers and once by vectors of four,
;;         checks that both agree, and prints the trace of the product.
;;
;; Shows: v128, a table of functions with call_indirect, and loops over memory.
;; Try:   brant run programs/matrix.wat
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 5)

  ;; 0: iovec; 8: bytes written; 16..48: text. Each matrix has 64 KiB: a, b and the two products.
  (global $a i32 (i32.const 0x10000))
  (global $b i32 (i32.const 0x20000))
  (global $by_numbers i32 (i32.const 0x30000))
  (global $by_vectors i32 (i32.const 0x40000))
  (data (i32.const 16) "trace ")
  (data (i32.const 64) "the products differ\n")

  (type $multiply (func (param $to i32)))
  (table $ways funcref (elem $multiply_numbers $multiply_vectors))

  ;; The address of element (row, column) of the matrix at $base.
  (func $at (param $base i32) (param $row i32) (param $column i32) (result i32)
    (i32.add (local.get $base)
      (i32.shl (i32.add (i32.shl (local.get $row) (i32.const 7)) (local.get $column)) (i32.const 2))))

  ;; a[i][j] = (i + 2j) mod 7, b[i][j] = (3i + j) mod 5: small whole numbers, so that sums are exact.
  (func $fill
    (local $i i32) (local $j i32)
    (loop $row
      (local.set $j (i32.const 0))
      (loop $column
        (f32.store (call $at (global.get $a) (local.get $i) (local.get $j))
          (f32.convert_i32_u (i32.rem_u
            (i32.add (local.get $i) (i32.shl (local.get $j) (i32.const 1))) (i32.const 7))))
        (f32.store (call $at (global.get $b) (local.get $i) (local.get $j))
          (f32.convert_i32_u (i32.rem_u
            (i32.add (i32.mul (local.get $i) (i32.const 3)) (local.get $j)) (i32.const 5))))
        (br_if $column (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (i32.const 128))))
      (br_if $row (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 128)))))

  (func $multiply_numbers (type $multiply)
    (local $i i32) (local $j i32) (local $k i32) (local $sum f32)
    (loop $row
      (local.set $j (i32.const 0))
      (loop $column
        (local.set $k (i32.const 0))
        (local.set $sum (f32.const 0))
        (loop $dot
          (local.set $sum (f32.add (local.get $sum) (f32.mul
            (f32.load (call $at (global.get $a) (local.get $i) (local.get $k)))
            (f32.load (call $at (global.get $b) (local.get $k) (local.get $j))))))
          (br_if $dot (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 1))) (i32.const 128))))
        (f32.store (call $at (local.get 0) (local.get $i) (local.get $j)) (local.get $sum))
        (br_if $column (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (i32.const 128))))
      (br_if $row (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 128)))))

  ;; Four columns at a time: a row of the product is a sum of rows of b.
  (func $multiply_vectors (type $multiply)
    (local $i i32) (local $j i32) (local $k i32) (local $sum v128)
    (loop $row
      (local.set $j (i32.const 0))
      (loop $columns
        (local.set $k (i32.const 0))
        (local.set $sum (v128.const f32x4 0 0 0 0))
        (loop $dot
          (local.set $sum (f32x4.add (local.get $sum) (f32x4.mul
            (v128.load32_splat (call $at (global.get $a) (local.get $i) (local.get $k)))
            (v128.load (call $at (global.get $b) (local.get $k) (local.get $j))))))
          (br_if $dot (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 1))) (i32.const 128))))
        (v128.store (call $at (local.get 0) (local.get $i) (local.get $j)) (local.get $sum))
        (br_if $columns (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 4))) (i32.const 128))))
      (br_if $row (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 128)))))

  ;; Whether both products are the same, four numbers at a time.
  (func $equal (result i32)
    (local $offset i32)
    (loop $next
      (if (v128.any_true (f32x4.ne
            (v128.load (i32.add (global.get $by_numbers) (local.get $offset)))
            (v128.load (i32.add (global.get $by_vectors) (local.get $offset)))))
        (then (return (i32.const 0))))
      (br_if $next
        (i32.lt_u (local.tee $offset (i32.add (local.get $offset) (i32.const 16))) (i32.const 0x10000))))
    (i32.const 1))

  (func $trace (result i32)
    (local $i i32) (local $sum f32)
    (loop $next
      (local.set $sum (f32.add (local.get $sum)
        (f32.load (call $at (global.get $by_vectors) (local.get $i) (local.get $i)))))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 128))))
    (i32.trunc_f32_u (local.get $sum)))

  (func $write (param $from i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $from))
    (i32.store (i32.const 4) (local.get $length))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))

  (func $print (param $n i32)
    (local $at i32)
    (local.set $at (i32.const 40))
    (i32.store8 (local.get $at) (i32.const 10))
    (loop $digit
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10))))
      (br_if $digit (local.tee $n (i32.div_u (local.get $n) (i32.const 10)))))
    (call $write (local.get $at) (i32.sub (i32.const 41) (local.get $at))))

  (func (export "_start")
    (call $fill)
    (call_indirect $ways (type $multiply) (global.get $by_numbers) (i32.const 0))
    (call_indirect $ways (type $multiply) (global.get $by_vectors) (i32.const 1))
    (if (i32.eqz (call $equal))
      (then
        (call $write (i32.const 64) (i32.const 20))
        (call $proc_exit (i32.const 1))))
    (call $write (i32.const 16) (i32.const 6))
    (call $print (call $trace))))
