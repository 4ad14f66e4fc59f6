(module
  (;comment(;nested(;further;)nested;)
