//! Mode `nomad`: at sites a thread and its store become bytes, and go on in a store that was made
//! anew.
//!
//! A store can be made anew because it is known how it was made: which modules were instantiated, in
//! which order, with what. Where that would give another store, because a memory had grown before
//! something was written behind its first end, or where the host holds values that mean nothing
//! elsewhere, the thread stays where it is.

use brant_engine::persist::PersistError;
use brant_engine::{Engine, Extern, Instance, Module, Store, Thread, Tier};
use brant_kernel::persist::KernelState;
use brant_mobility::{
    CaptureError, Contents, ModuleImage, Purpose, ReadLimits, Snapshot, Standing,
};

use super::spectest::Spectest;

/// Everything that was tried to instantiate, in order.
#[derive(Default)]
pub struct Recipe {
    attempts: Vec<Attempt>,
}

struct Attempt {
    module: Module,
    imports: Vec<Source>,
    /// None if it has failed.
    instance: Option<Instance>,
}

/// Where an import came from.
enum Source {
    Spectest(String),
    /// An export of what an attempt made.
    Export(usize, String),
}

/// A store that was made anew.
pub struct Remade {
    pub store: Store,
    pub spectest: Spectest,
    pub thread: Thread,
    /// By the number of the attempt.
    instances: Vec<Option<Instance>>,
}

impl Recipe {
    /// Takes note of an attempt; `provider` says which instance an import comes from, if not from
    /// `spectest`.
    pub fn note(
        &mut self, module: &Module, made: Option<Instance>,
        provider: impl Fn(&str) -> Option<Instance>,
    ) {
        let imports = module.imports().map(|import| {
            let instance = provider(import.module);
            let number = instance.and_then(|instance| self.number_of(instance));
            match number {
                Some(number) => Source::Export(number, import.name.to_owned()),
                None => Source::Spectest(import.name.to_owned()),
            }
        });
        let imports = imports.collect();
        self.attempts.push(Attempt { module: module.clone(), imports, instance: made });
    }

    /// How many attempts there were.
    pub fn len(&self) -> usize {
        self.attempts.len()
    }

    /// What an attempt has made, wherever that is by now.
    pub fn instance(&self, number: usize) -> Option<Instance> {
        self.attempts.get(number)?.instance
    }

    fn number_of(&self, instance: Instance) -> Option<usize> {
        self.attempts.iter().position(|attempt| attempt.instance == Some(instance))
    }

    /// Takes a thread and its store apart, and puts them together again from bytes; none if the
    /// thread has to stay.
    ///
    /// # Errors
    /// What was written down cannot be restored.
    pub fn relocate(
        &self, engine: &Engine, store: &mut Store, thread: &mut Thread, tier: Tier,
    ) -> Result<Option<Remade>, String> {
        let images = self.attempts.iter().map(|attempt| ModuleImage {
            name: String::new(),
            hash: attempt.module.hash(),
            bytes: None,
        });
        let standing = Standing {
            modules: images.collect(),
            threads: vec![(Purpose::Call, thread)],
            preparation: Vec::new(),
            resources: KernelState::default(),
            generation: [0; 16],
            contents: Contents::Compressed,
            spawned: None,
        };
        let snapshot = match Snapshot::capture(store, standing) {
            Ok(snapshot) => snapshot,
            Err(
                CaptureError::HostValues | CaptureError::Engine(PersistError::NamelessFunction),
            ) => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let bytes = snapshot.to_vec();
        let snapshot = Snapshot::read(&mut &bytes[..], &ReadLimits::default());
        let snapshot = snapshot.map_err(|error| error.to_string())?;
        let mut fresh = Store::new(engine, Box::new(()));
        // Without a compiler everything is interpreted.
        fresh.set_tier(tier);
        let spectest = Spectest::new(&mut fresh)?;
        let Some(instances) = self.remake(&mut fresh, &spectest) else { return Ok(None) };
        let mut restored = snapshot.restore(&mut fresh).map_err(|error| error.to_string())?;
        let thread = restored.threads.pop().ok_or("the thread is gone")?.thread;
        Ok(Some(Remade { store: fresh, spectest, thread, instances }))
    }

    /// Instantiates everything again; none if something does not come out as it did.
    fn remake(&self, store: &mut Store, spectest: &Spectest) -> Option<Vec<Option<Instance>>> {
        let mut instances: Vec<Option<Instance>> = Vec::with_capacity(self.attempts.len());
        for attempt in &self.attempts {
            let imports = attempt.imports.iter().map(|source| match source {
                Source::Spectest(name) => spectest.get(name),
                Source::Export(number, name) => instances[*number]?.export(store, name),
            });
            let imports: Vec<Extern> = imports.collect::<Option<_>>()?;
            let made = Instance::new(store, &attempt.module, &imports).ok();
            if made.is_some() != attempt.instance.is_some() {
                return None;
            }
            instances.push(made);
        }
        Some(instances)
    }

    /// Takes note that all instances are others now.
    pub fn moved_to(&mut self, remade: &Remade) {
        for (attempt, instance) in self.attempts.iter_mut().zip(&remade.instances) {
            attempt.instance = *instance;
        }
    }

    /// What an instance has become.
    pub fn successor(&self, remade: &Remade, instance: Instance) -> Instance {
        let number = self.number_of(instance);
        number.and_then(|number| remade.instances[number]).unwrap_or(instance)
    }
}
