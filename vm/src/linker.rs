//! What a program may import besides its system calls.

use std::collections::BTreeMap;
use std::sync::Arc;

use brant_engine::{FuncType, HostError, Val, ValType};

use crate::typed::for_each_tuple;
use crate::{Caller, Module, WasmValue, WasmValues};

/// A host function as the linker keeps it; one definition serves many processes.
pub(crate) type HostCall =
    dyn Fn(&mut Caller<'_>, &[Val], &mut [Val]) -> Result<(), HostError> + Send + Sync;

/// Host functions and other modules under the names by which programs import them.
///
/// A linker belongs to no process: definitions are instantiated anew in each one that is built
/// with it.
#[derive(Clone, Default)]
pub struct Linker {
    pub(crate) functions: BTreeMap<(String, String), HostFunction>,
    pub(crate) modules: Vec<(String, Module)>,
}

/// One definition.
#[derive(Clone)]
pub(crate) struct HostFunction {
    pub(crate) kind: FuncType,
    pub(crate) call: Arc<HostCall>,
}

impl Linker {
    /// A linker without definitions.
    pub fn new() -> Linker {
        Linker::default()
    }

    /// Defines a host function from a closure over [`WasmValue`]s.
    ///
    /// The closure may take a [`Caller`] first, and may return a `Result` whose error ends the
    /// guest.
    ///
    /// ```
    /// use brant::{Caller, Linker};
    ///
    /// let mut linker = Linker::new();
    /// linker.func("env", "add", |a: i32, b: i32| a.wrapping_add(b));
    /// linker.func("env", "size", |caller: &mut Caller<'_>| caller.memory_len_bytes());
    /// ```
    pub fn func<P, R>(
        &mut self, module: &str, name: &str, function: impl IntoHostFunction<P, R>,
    ) -> &mut Linker {
        let (kind, call) = function.into_host_function();
        self.define(module, name, kind, call)
    }

    /// Defines a host function whose type is known only when the program runs.
    pub fn func_dynamic(
        &mut self, module: &str, name: &str, kind: FuncType,
        call: impl Fn(&mut Caller<'_>, &[Val], &mut [Val]) -> Result<(), HostError>
        + Send
        + Sync
        + 'static,
    ) -> &mut Linker {
        self.define(module, name, kind, Arc::new(call))
    }

    /// Lets programs import what another module exports.
    ///
    /// Each process gets an instance of its own; modules see those that were added before them.
    pub fn module(&mut self, name: &str, module: &Module) -> &mut Linker {
        self.modules.push((name.to_owned(), module.clone()));
        self
    }

    fn define(
        &mut self, module: &str, name: &str, kind: FuncType, call: Arc<HostCall>,
    ) -> &mut Linker {
        let key = (module.to_owned(), name.to_owned());
        self.functions.insert(key, HostFunction { kind, call });
        self
    }
}

impl std::fmt::Debug for Linker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let modules: Vec<&str> = self.modules.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Linker")
            .field("functions", &self.functions.keys().collect::<Vec<_>>())
            .field("modules", &modules)
            .finish()
    }
}

/// A closure that can be a host function; `P` and `R` are found by the compiler.
pub trait IntoHostFunction<P, R> {
    /// Its type and what is called.
    fn into_host_function(self) -> (FuncType, Arc<HostCall>);
}

/// What a host function may return: values, or a `Result` with values.
pub trait HostResults {
    /// The types of the values.
    fn result_types() -> Vec<ValType>;
    /// The values, or what ends the guest.
    fn into_result(self) -> Result<Vec<Val>, HostError>;
}

impl<T: WasmValues> HostResults for T {
    fn result_types() -> Vec<ValType> {
        T::types()
    }

    fn into_result(self) -> Result<Vec<Val>, HostError> {
        Ok(self.into_vals())
    }
}

impl<T: WasmValues, E: Into<HostError>> HostResults for Result<T, E> {
    fn result_types() -> Vec<ValType> {
        T::types()
    }

    fn into_result(self) -> Result<Vec<Val>, HostError> {
        self.map(T::into_vals).map_err(Into::into)
    }
}

/// The first parameter of the marker type of closures that take a [`Caller`].
pub struct WithCaller(());

macro_rules! host_function {
    ($($kind:ident $name:ident),*) => {
        impl<Closure, Results, $($kind,)*> IntoHostFunction<($($kind,)*), Results> for Closure
        where
            Closure: Fn($($kind),*) -> Results + Send + Sync + 'static,
            Results: HostResults + 'static,
            $($kind: WasmValue,)*
        {
            fn into_host_function(self) -> (FuncType, Arc<HostCall>) {
                let kind = FuncType::new(<($($kind,)*)>::types(), Results::result_types());
                let call = move |_: &mut Caller<'_>, params: &[Val], results: &mut [Val]| {
                    let ($($name,)*) = typed::<($($kind,)*)>(params)?;
                    store(self($($name),*), results)
                };
                (kind, Arc::new(call))
            }
        }

        impl<Closure, Results, $($kind,)*>
            IntoHostFunction<(WithCaller, $($kind,)*), Results> for Closure
        where
            Closure: Fn(&mut Caller<'_>, $($kind),*) -> Results + Send + Sync + 'static,
            Results: HostResults + 'static,
            $($kind: WasmValue,)*
        {
            fn into_host_function(self) -> (FuncType, Arc<HostCall>) {
                let kind = FuncType::new(<($($kind,)*)>::types(), Results::result_types());
                let call = move |caller: &mut Caller<'_>, params: &[Val], results: &mut [Val]| {
                    let ($($name,)*) = typed::<($($kind,)*)>(params)?;
                    store(self(caller, $($name),*), results)
                };
                (kind, Arc::new(call))
            }
        }
    };
}
for_each_tuple!(host_function);

/// The engine passes what the type of the function says, so this cannot fail.
fn typed<P: WasmValues>(params: &[Val]) -> Result<P, HostError> {
    P::from_vals(params).ok_or_else(|| HostError::Other("parameters of another type".into()))
}

fn store(values: impl HostResults, results: &mut [Val]) -> Result<(), HostError> {
    for (place, value) in results.iter_mut().zip(values.into_result()?) {
        *place = value;
    }
    Ok(())
}
