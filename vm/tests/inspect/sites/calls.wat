;; A call has two sites: before it the arguments are operands, inside they are gone. What lies below
;; them stays. A tail call has one, and what comes behind `unreachable` has none.
(module
  (type $pair (func (param i32 f64) (result i64)))
  (import "" "pair" (func $pair (type $pair)))
  (table 1 funcref)
  (func $below (param $x f32) (result f32 i64)
    (local.get $x)
    (call $pair (i32.const 1) (f64.const 2)))
  (func $indirect (param $i i32) (result i64)
    (call_indirect (type $pair) (i32.const 1) (f64.const 2) (local.get $i)))
  (func $tail (param $x f64) (result i64)
    (return_call $pair (i32.const 3) (local.get $x)))
  (func $never
    unreachable
    (drop (call $pair (i32.const 1) (f64.const 2)))))

;;! function 1 $below: 3 sites, 1 local
;;!      0     0x40  entry      live 0:f32
;;!      1     0x4e  call       operands f32 i32 f64
;;!      2     0x4e  return     operands f32
;;! function 2 $indirect: 3 sites, 1 local
;;!      0     0x52  entry      live 0:i32
;;!      1     0x60  call       operands i32 f64 i32
;;!      2     0x60  return
;;! function 3 $tail: 2 sites, 1 local
;;!      0     0x65  entry      live 0:f64
;;!      1     0x6a  call       operands i32 f64
;;! function 4 $never: 1 site, 0 locals
;;!      0     0x6e  entry
