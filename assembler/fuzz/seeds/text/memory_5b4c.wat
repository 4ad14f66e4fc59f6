(module (memory (data "x")) (func (export "memsize") (result i32) (memory.size)))
