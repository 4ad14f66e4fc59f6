(module
  (; a comment (; inside ;)
  (func))
