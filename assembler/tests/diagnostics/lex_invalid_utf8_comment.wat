;; ÿþ a comment
(module)
