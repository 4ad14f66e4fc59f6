(module (memory (data "")) (func (export "memsize") (result i32) (memory.size)))
