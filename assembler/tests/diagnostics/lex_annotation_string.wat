(module
  (@note "a control character: ")
  (@note (deep x"\q" y)))
