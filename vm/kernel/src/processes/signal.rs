//! Signals: their numbers, what each does where nobody handles it, and sets of them.

/// A signal. Spec: WASI, `signal`.
pub type Signal = u8;

/// The numbers that the kernel itself uses.
#[allow(missing_docs, reason = "the names are those of the specification")]
pub mod number {
    use super::Signal;
    pub const INT: Signal = 2;
    pub const ABRT: Signal = 6;
    pub const KILL: Signal = 9;
    pub const PIPE: Signal = 13;
    pub const ALRM: Signal = 14;
    pub const CHLD: Signal = 16;
    pub const CONT: Signal = 17;
    pub const STOP: Signal = 18;
    pub const TSTP: Signal = 19;
    pub const TTIN: Signal = 20;
    pub const TTOU: Signal = 21;
    pub const URG: Signal = 22;
    pub const WINCH: Signal = 27;
    /// No signal has a larger one.
    pub const LAST: Signal = 30;
}

/// What a signal does where nobody handles it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultAction {
    /// Nothing.
    Ignore,
    /// The process ends.
    End,
    /// The process stands until it is told to go on.
    Stop,
}

/// What a signal does where nobody handles it.
pub fn default_action(signal: Signal) -> DefaultAction {
    use number::{CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG, WINCH};
    match signal {
        0 | CHLD | CONT | URG | WINCH => DefaultAction::Ignore,
        STOP | TSTP | TTIN | TTOU => DefaultAction::Stop,
        _ => DefaultAction::End,
    }
}

/// Whether a process may decide what a signal does.
pub fn can_be_handled(signal: Signal) -> bool {
    !matches!(signal, number::KILL | number::STOP)
}

/// The name without `SIG`, as shells and `brant kill -s` write it.
pub fn name(signal: Signal) -> &'static str {
    NAMES.get(usize::from(signal)).copied().unwrap_or("?")
}

/// The signal of a name, with `SIG` or without it, or of a number.
pub fn from_name(text: &str) -> Option<Signal> {
    if let Ok(number) = text.parse::<Signal>() {
        return (number <= number::LAST).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    NAMES.iter().position(|known| *known == short).map(|index| index as Signal)
}

const NAMES: [&str; 31] = [
    "NONE", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV",
    "USR2", "PIPE", "ALRM", "TERM", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU",
    "XFSZ", "VTALRM", "PROF", "WINCH", "POLL", "PWR", "SYS",
];

/// Signals that were sent and have not come yet; each counts once, however often it was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals(pub u32);

impl Signals {
    /// Adds one.
    pub fn add(&mut self, signal: Signal) {
        self.0 |= 1 << signal;
    }

    /// Takes one out.
    pub fn remove(&mut self, signal: Signal) {
        self.0 &= !(1 << signal);
    }

    /// Whether it is among them.
    pub fn contains(self, signal: Signal) -> bool {
        self.0 & (1 << signal) != 0
    }

    /// Takes out the next one: KILL before all others, those by their numbers.
    pub fn take_next(&mut self) -> Option<Signal> {
        let next = match self.contains(number::KILL) {
            true => number::KILL,
            false if self.0 == 0 => return None,
            false => self.0.trailing_zeros() as Signal,
        };
        self.remove(next);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_agree() {
        assert_eq!(from_name("SIGKILL"), Some(number::KILL));
        assert_eq!(from_name("winch"), Some(number::WINCH));
        assert_eq!(from_name("30"), Some(30));
        assert_eq!(from_name("31"), None);
        assert_eq!(from_name("nobody"), None);
        assert!((0..=number::LAST).all(|signal| from_name(name(signal)) == Some(signal)));
    }

    #[test]
    fn kill_comes_first() {
        let mut signals = Signals::default();
        signals.add(number::INT);
        signals.add(number::KILL);
        signals.add(number::KILL);
        assert_eq!(signals.take_next(), Some(number::KILL));
        assert_eq!(signals.take_next(), Some(number::INT));
        assert_eq!(signals.take_next(), None);
    }
}
