;; New elements have the value that was given, and an index beyond the end is never an element.
(module
  (type $t (func (result i32)))
  (table $t 0 100 funcref)
  (func $f (result i32) (i32.const 7))
  (elem declare func $f)
  (func (export "grow") (result i32)
    (loop $more (br_if $more
      (i32.ne (table.grow $t (ref.func $f) (i32.const 7)) (i32.const -1))))
    (drop (table.grow $t (ref.null func) (i32.const -1)))
    (table.size $t))
  (func (export "sweep") (result i32) (local $at i32) (local $sum i32)
    (loop $l
      (local.set $sum (i32.add (local.get $sum)
        (call_indirect $t (type $t) (i32.rem_u (local.get $at) (table.size $t)))))
      (br_if $l (i32.lt_u
        (local.tee $at (i32.add (local.get $at) (i32.const 1))) (i32.const 3000))))
    (local.get $sum))
  (func (export "call") (param i32) (result i32)
    (call_indirect $t (type $t) (local.get 0))))
(assert_trap (invoke "call" (i32.const 0)) "undefined element")
(assert_return (invoke "grow") (i32.const 98))
(assert_return (invoke "call" (i32.const 97)) (i32.const 7))
(assert_trap (invoke "call" (i32.const 98)) "undefined element")
(assert_trap (invoke "call" (i32.const -1)) "undefined element")
(assert_return (invoke "sweep") (i32.const 21000))
