(module
  (func $"" nop))
