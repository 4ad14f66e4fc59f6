(module
	(func (export "größe")	(result i32) i32.cons 1))
