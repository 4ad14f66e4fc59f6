//! The binary: hands the command line to `cli`, which holds everything.
#![forbid(unsafe_code)]

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
