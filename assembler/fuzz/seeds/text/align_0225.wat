(module (memory 0) (func (f64.store align=8 (i32.const 0) (f64.const 1.0))))
