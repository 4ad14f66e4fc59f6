(module
  (import "env" "secret" (func (param i32) (result i64)))
  (import "arithmetic" "add" (func $add (param i32 i32) (result i32)))
  (func (export "_start")))
