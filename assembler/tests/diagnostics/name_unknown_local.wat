(module
  (func (param $width i32) (param $height i32) (result i32)
    local.get $widht
    local.get $height
    i32.mul))
