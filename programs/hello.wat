;; hello: the smallest program that says something.
;;
;; Shows: one import from the system, one memory, one string.
;; Try:   brant run programs/hello.wat
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param $fd i32) (param $iovs i32) (param $iovs_count i32) (param $written i32) (result i32)))
  (memory (export "memory") 1)

  ;; 0: one iovec {address, length}; 8: bytes written; 16: the text
  (data (i32.const 0) "\10\00\00\00" "\06\00\00\00")
  (data (i32.const 16) "hello\n")

  (func (export "_start")
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
