//! On which threads of the host guest threads run.

/// On which threads of the host the threads of a program run.
///
/// What a program with one thread does, and what anybody can see of a process that stands, does not
/// depend on it. Runs that are to be repeatable, that count fuel, or that stop at a counted site are
/// always [`ThreadPolicy::User`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum ThreadPolicy {
    /// All on the one that runs the process, in turns: user-level threads.
    #[default]
    User,
    /// Each on one of its own: kernel-level threads.
    Kernel,
    /// Many on few: as many as the host has processors.
    Hybrid,
}

impl ThreadPolicy {
    const NAMES: [(ThreadPolicy, &str); 3] = [
        (ThreadPolicy::User, "user"),
        (ThreadPolicy::Kernel, "kernel"),
        (ThreadPolicy::Hybrid, "hybrid"),
    ];

    /// Its name, as the command line has it.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(policy, _)| *policy == self).map_or("", |(_, name)| name)
    }
}
