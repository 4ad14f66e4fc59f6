(module (func $deeper (export "_start") (call $deeper)))
