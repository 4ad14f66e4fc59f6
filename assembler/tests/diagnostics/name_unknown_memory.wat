(module
  (memory $main 1)
  (func (result i32)
    memory.size $mian))
