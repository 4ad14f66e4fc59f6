(module
  (@note $"\q"))
