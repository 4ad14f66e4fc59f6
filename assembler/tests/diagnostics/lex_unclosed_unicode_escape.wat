(module
  (func (export "\u{41")))
