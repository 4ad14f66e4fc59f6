//! The engine: modules, memories, frames, the interpreter.
