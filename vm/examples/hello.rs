//! Runs a program: standard streams are passed on, everything else stays closed to it.

use brant::{Engine, Error, Module, Process};

fn main() -> Result<(), Error> {
    let engine = Engine::default();
    let module = Module::from_file(&engine, "programs/hello.wat")?;
    let mut process = Process::builder(&module).args(["hello"]).inherit_stdio().build()?;
    std::process::exit(process.run()?.code())
}
