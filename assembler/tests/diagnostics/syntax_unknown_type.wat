(module
  (func (param $x int) (result i23)
    unreachable))
