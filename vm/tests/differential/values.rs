//! What both sides are asked and answer with: values, ends, and what a host function does.

/// A value without the types of an engine. Floats are bits, references are null or not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Value {
    I32(u32),
    I64(u64),
    F32(u32),
    F64(u64),
    V128(u128),
    Func { is_null: bool },
    Extern { is_null: bool },
}

/// The type of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    I32,
    I64,
    F32,
    F64,
    V128,
    Func,
    Extern,
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Value::I32(bits) => write!(f, "i32 {bits:#x}"),
            Value::I64(bits) => write!(f, "i64 {bits:#x}"),
            Value::F32(bits) => write!(f, "f32 {bits:#x}"),
            Value::F64(bits) => write!(f, "f64 {bits:#x}"),
            Value::V128(bits) => write!(f, "v128 {bits:#x}"),
            Value::Func { is_null } => write!(f, "funcref {}", null(is_null)),
            Value::Extern { is_null } => write!(f, "externref {}", null(is_null)),
        }
    }
}

fn null(is_null: bool) -> &'static str {
    if is_null { "null" } else { "some" }
}

/// How a call ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    Values(Vec<Value>),
    /// In the words of the specification.
    Trap(String),
    /// Fuel, or a stack, or memory of the machine: not the same in two engines.
    Open,
    /// Anything else, which is a mistake of an engine.
    Wrong(String),
}

impl End {
    pub fn is_open(&self) -> bool {
        *self == End::Open
    }
}

/// How brant runs a module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// As the command line does; each run is interrupted at its start and goes on.
    Guarded,
    /// No signals: each access is checked.
    Checked,
    /// Fuel is counted.
    Fuel,
    /// Fuel comes in small pieces: the run stops and goes on all the time.
    Slices,
    /// Everything is compiled; each run is interrupted at its start.
    Jit,
    /// The same with fuel in small pieces.
    JitSlices,
    /// The tier changes at random, and at random sites the frames are taken apart.
    Mixed,
    /// As bytes in between: stopped at random sites, written down, restored in a new store.
    Nomad,
}

impl Mode {
    pub fn pick(numbers: &mut Numbers) -> Mode {
        let all = Mode::ALL;
        all[(numbers.next() % all.len() as u64) as usize]
    }

    /// All modes. Without a compiler everything is interpreted.
    pub const ALL: [Mode; 8] = [
        Mode::Guarded,
        Mode::Checked,
        Mode::Fuel,
        Mode::Slices,
        Mode::Jit,
        Mode::JitSlices,
        Mode::Mixed,
        Mode::Nomad,
    ];

    /// The mode of this name.
    #[allow(dead_code, reason = "only those who run modules by hand choose")]
    pub fn from_name(name: &str) -> Option<Mode> {
        let is_named = |mode: &&Mode| format!("{mode:?}").eq_ignore_ascii_case(name);
        Mode::ALL.iter().find(is_named).copied()
    }

    /// Whether runs stop at random sites.
    pub fn stops_at_sites(self) -> bool {
        matches!(self, Mode::Mixed | Mode::Nomad)
    }

    pub fn is_compiled(self) -> bool {
        matches!(self, Mode::Jit | Mode::JitSlices | Mode::Mixed | Mode::Nomad)
    }

    pub fn has_fuel(self) -> bool {
        matches!(self, Mode::Fuel | Mode::Slices | Mode::JitSlices)
    }
}

/// Numbers from a seed (splitmix64).
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Numbers {
        Numbers(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// An argument: small, large, round or any.
    pub fn value(&mut self, kind: Kind) -> Value {
        let any = self.next();
        let wide = match self.next() % 5 {
            0 => any % 9,
            1 => (any % 9).wrapping_neg(),
            2 => 1u64.rotate_left(any as u32),
            3 => any % 0x1_0000,
            _ => any,
        };
        match kind {
            Kind::I32 => Value::I32(wide as u32),
            Kind::I64 => Value::I64(wide),
            Kind::F32 => Value::F32((wide as i32 as f32).to_bits()),
            Kind::F64 => Value::F64((wide as i64 as f64).to_bits()),
            Kind::V128 => Value::V128(u128::from(wide) << 64 | u128::from(any)),
            Kind::Func => Value::Func { is_null: true },
            Kind::Extern => Value::Extern { is_null: true },
        }
    }
}

fn mixed(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// What the host functions of one side were called with, as one number.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Log {
    calls_count: u64,
    hash: u64,
}

impl Log {
    /// A call of the function that is imported as number `index`: its results, or none for a trap.
    /// The same calls have the same answers, whoever asks.
    pub fn call(
        &mut self, index: usize, params: impl Iterator<Item = Value>, results: &[Kind],
    ) -> Option<Vec<Value>> {
        self.calls_count += 1;
        self.add(index as u64);
        for param in params {
            match param {
                Value::I32(bits) | Value::F32(bits) => self.add(bits.into()),
                Value::I64(bits) | Value::F64(bits) => self.add(bits),
                Value::V128(bits) => {
                    self.add(bits as u64);
                    self.add((bits >> 64) as u64);
                }
                Value::Func { is_null } | Value::Extern { is_null } => self.add(is_null.into()),
            }
        }
        if self.hash % 64 == 63 {
            return None;
        }
        let mut numbers = Numbers::new(self.hash);
        Some(results.iter().map(|kind| numbers.value(*kind)).collect())
    }

    fn add(&mut self, number: u64) {
        self.hash = mixed(self.hash.rotate_left(7) ^ number);
    }
}

/// What imported globals hold.
pub fn global(index: usize, kind: Kind) -> Value {
    Numbers::new(index as u64).value(kind)
}
