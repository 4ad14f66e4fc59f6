//! What makes code quicker and could be left out. Each has its gain in `docs/RATIONALE.md`, which
//! `benches/tuning.py` measures again.

macro_rules! tuning {
    ($($(#[$doc:meta])* $name:ident $text:literal)*) => {
        /// What the translator does beyond what it has to.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub struct Tuning {
            $($(#[$doc])* pub $name: bool,)*
        }

        impl Tuning {
            /// All of it.
            pub const ALL: Self = Self { $($name: true,)* };
            /// Names, as [`Self::leave_out`] takes them.
            pub const NAMES: &[&str] = &[$($text),*];

            /// Leaves out what has this name; false if nothing has.
            pub fn leave_out(&mut self, name: &str) -> bool {
                match name {
                    $($text => self.$name = false,)*
                    _ => return false,
                }
                true
            }
        }
    };
}

tuning! {
    /// A function that calls itself does so directly.
    self_calls "self-calls"
    /// Short copies and fills of memory 0 do not ask the engine.
    short_copies "short-copies"
    /// An indirect call of a function of the same instance is recognised with the check of its type.
    own_calls "own-calls"
    /// A table of fixed size has its size in the code, and its address never changes.
    fixed_tables "fixed-tables"
    /// Small loops without calls are translated four times over.
    unrolled_loops "unrolled-loops"
    /// A loop in which every way back goes through a call of the function itself does not poll.
    polled_loops "polled-loops"
    /// All but small bodies go without the optimiser, which takes time and gains them nothing.
    quick_large "quick-large"
}

impl Default for Tuning {
    fn default() -> Self {
        Self::ALL
    }
}
