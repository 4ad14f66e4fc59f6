;; All kinds of slots, blocks that pay for themselves, and operations of the engine in pieces.
(module
  (memory 1)
  (func $kinds (param i32 i64 f32 f64 v128 funcref externref) (result v128)
    (loop (br_if 0 (i32.eqz (local.get 0))))
    (local.get 4))
  (func $operations (param $at i32) (result i32)
    (memory.fill (local.get $at) (i32.const 0) (i32.const 100))
    (memory.copy (i32.const 0) (local.get $at) (i32.const 100))
    (i32.add (local.get $at) (memory.grow (i32.const 1))))
  (func $arms (param $x i32) (result i32)
    (if (result i32) (local.get $x)
      (then (i32.const 1))
      (else (i32.const 2)))))

;;! function 0 $kinds: 4 sites, 7 locals
;;!      0     0x2a  entry      live 0:i32 4:v128
;;!      1     0x2b  loop       live 0:i32 4:v128
;;!      2     0x30  block      live 0:i32 1:i64 2:f32 3:f64 4:v128 5:funcref 6:externref
;;!      3     0x32  block      live 0:i32 1:i64 2:f32 3:f64 4:v128 5:funcref 6:externref
;;! function 1 $operations: 4 sites, 1 local
;;!      0     0x37  entry      live 0:i32
;;!      1     0x3f  operation  live 0:i32  operands i32 i32 i32
;;!      2     0x49  operation  live 0:i32  operands i32 i32 i32
;;!      3     0x51  operation  operands i32 i32
;;! function 2 $arms: 4 sites, 1 local
;;!      0     0x56  entry      live 0:i32
;;!      1     0x59  block      live 0:i32
;;!      2     0x5d  block      live 0:i32
;;!      3     0x60  block      live 0:i32  operands i32
