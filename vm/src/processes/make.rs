//! How a process comes into being, and how it becomes another program.

use brant_kernel::Errno;
use brant_kernel::processes::{Pid, Program, Request};

use super::{Asked, Relatives};
use crate::process::Pause;
use crate::system::System;
use crate::{Error, Module, Process, ProcessBuilder, Validation};

/// Programs that are kept loaded. More were hardly run again.
const KEPT_PROGRAMS: usize = 256;

impl Relatives {
    /// Does what a process asks, and has its call find the answer.
    pub(super) fn serve(&mut self, process: &mut Process, asked: Asked) -> Result<(), Pause> {
        self.tick().map_err(Pause::Error)?;
        let Asked { request, is_first } = asked;
        let answer = match request {
            Request::Fork(child, mut kernel) => {
                // A copy has one thread: the one that asks, which has to be the first.
                let copy = match is_first {
                    true => process.fork_beside(*kernel, Ok(0)).map_err(|error| errno_of(&error)),
                    false => {
                        kernel.close_all();
                        Err(Errno::NotSupported)
                    }
                };
                self.born(child, copy)
            }
            Request::Spawn(child, kernel, program) => {
                let made = self.load(process, program).and_then(|module| {
                    let system =
                        System::of_kernel(*kernel, process.system().traces(), process.limits());
                    self.begin(process, &module, system)
                });
                self.born(child, made)
            }
            Request::Exec { program, args, env } => {
                let limits = process.limits().clone();
                let made = self.load(process, program).and_then(|module| {
                    let system = process.system().of_successor(&limits);
                    self.begin(process, &module, system)
                });
                match made {
                    Ok(next) => {
                        process.system().with_kernel(|kernel| kernel.exec(args, env));
                        process.take_place(next);
                        return Ok(());
                    }
                    Err(errno) => Err(errno),
                }
            }
        };
        process.answer(answer);
        Ok(())
    }

    /// Takes in a process that was made; where it was not, its number is free again.
    fn born(&mut self, child: Pid, made: Result<Process, Errno>) -> Result<Pid, Errno> {
        match made {
            Ok(process) => {
                self.others.insert(child, Box::new(process));
                self.queue.push_back(child);
                Ok(child)
            }
            Err(errno) => {
                self.tree.lock().table.forget(child);
                Err(errno)
            }
        }
    }

    /// The module of a program: loaded once for all that run it.
    fn load(&mut self, process: &Process, program: Program) -> Result<Module, Errno> {
        let Program { id, bytes } = program;
        if let Some(module) = self.programs.get(&id) {
            return Ok(module.clone());
        }
        let bytes = bytes.ok_or(Errno::NotExecutable)?;
        let engine = process.store.engine();
        let loaded = match crate::is_bytecode(&bytes) {
            true => Module::with_validation(engine, bytes, Validation::Lazy),
            false => Module::from_text(engine, bytes),
        };
        let module = loaded.map_err(|_| Errno::NotExecutable)?;
        if self.programs.len() < KEPT_PROGRAMS {
            self.programs.insert(id, module.clone());
            self.tree.lock().is_loaded(id, true);
        }
        Ok(module)
    }

    /// A process that has not begun, beside another one.
    fn begin(
        &self, sibling: &mut Process, module: &Module, system: System,
    ) -> Result<Process, Errno> {
        let limits = sibling.limits().clone();
        let linker = sibling.linker();
        let builder = ProcessBuilder::new(module).limits(limits).linker(&linker);
        let made = builder.build_beside(&sibling.store, system);
        let mut process = made.map_err(|error| errno_of(&error))?;
        if !process.is_program() {
            process.system().with_kernel(brant_kernel::Kernel::close_all);
            return Err(Errno::NotExecutable);
        }
        process.has_to_begin = true;
        Ok(process)
    }
}

/// What a program is told that asked for a process which cannot be made.
fn errno_of(error: &Error) -> Errno {
    match error {
        Error::MissingImports(_) | Error::Module(_) | Error::NoExport { .. } => {
            Errno::NotExecutable
        }
        _ => Errno::NoMemory,
    }
}
