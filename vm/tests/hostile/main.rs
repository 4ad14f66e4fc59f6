//! The catalogue of hostile cases, as far as it is about modules and calls: one test or more for a
//! row, whose number stands in its name. `docs/SECURITY.md` has the table of all rows.
//!
//! To survive is: a documented exit code or an error, never a signal, never a panic, in bounded
//! memory and bounded time. Modules are judged and run by the binary itself, in a process whose
//! address space is limited (`child`); system calls are made through the library (`guest`).

mod calls;
mod child;
mod encode;
mod guest;
mod modules;
mod rows;
mod running;
