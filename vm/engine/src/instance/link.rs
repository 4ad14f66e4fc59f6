//! Whether what is given fits what a module asks for.
//!
//! Spec: 4.5.3 (external typing), 3.3 (matching).

use crate::error::InstantiateError;
use crate::instance::Extern;
use crate::module::Module;
use crate::store::StoreInner;
use crate::types::{ExternType, MemoryType, TableType};

/// Checks all imports.
pub fn check(
    store: &StoreInner, module: &Module, imports: &[Extern],
) -> Result<(), InstantiateError> {
    let mut given = imports.iter();
    for import in module.imports() {
        let names = || (import.module.to_owned(), import.name.to_owned());
        let Some(&given) = given.next() else {
            let (module, name) = names();
            return Err(InstantiateError::UnknownImport { module, name });
        };
        let found = extern_type(store, given);
        if !matches(&found, &import.ty) {
            let (module, name) = names();
            let (expected, found) = (describe(&import.ty), describe(&found));
            return Err(InstantiateError::IncompatibleImport { module, name, expected, found });
        }
    }
    Ok(())
}

/// The type of `given` as it is now.
pub fn extern_type(store: &StoreInner, given: Extern) -> ExternType {
    match given {
        Extern::Func(func) => ExternType::Func(store.types.get(func.slot(store).ty).clone()),
        Extern::Table(table) => {
            store.check_handle(table.store);
            let table = &store.tables[table.index as usize];
            let minimum = table.elements().len() as u64;
            ExternType::Table(TableType { minimum, ..table.ty })
        }
        Extern::Memory(memory) => {
            store.check_handle(memory.store);
            let memory = &store.memories[memory.index as usize];
            let minimum_wasm_pages = memory.wasm_pages();
            ExternType::Memory(MemoryType { minimum_wasm_pages, ..memory.ty })
        }
        Extern::Global(global) => {
            store.check_handle(global.store);
            ExternType::Global(store.globals[global.index as usize].ty)
        }
    }
}

/// Whether a `found` can stand for an `expected`.
fn matches(found: &ExternType, expected: &ExternType) -> bool {
    match (found, expected) {
        (ExternType::Func(found), ExternType::Func(expected)) => found == expected,
        (ExternType::Global(found), ExternType::Global(expected)) => found == expected,
        (ExternType::Table(found), ExternType::Table(expected)) => {
            found.element == expected.element
                && found.is_64 == expected.is_64
                && limits_match(
                    (found.minimum, found.maximum),
                    (expected.minimum, expected.maximum),
                )
        }
        (ExternType::Memory(found), ExternType::Memory(expected)) => {
            found.is_shared == expected.is_shared
                && found.is_64 == expected.is_64
                && limits_match(
                    (found.minimum_wasm_pages, found.maximum_wasm_pages),
                    (expected.minimum_wasm_pages, expected.maximum_wasm_pages),
                )
        }
        _ => false,
    }
}

fn limits_match(found: (u64, Option<u64>), expected: (u64, Option<u64>)) -> bool {
    let maximum_fits = match (found.1, expected.1) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(found), Some(expected)) => found <= expected,
    };
    found.0 >= expected.0 && maximum_fits
}

/// A type in the words of an error message.
fn describe(ty: &ExternType) -> String {
    let limits = |minimum: u64, maximum: Option<u64>| match maximum {
        Some(maximum) => format!("{minimum}..={maximum}"),
        None => format!("{minimum}.."),
    };
    match ty {
        ExternType::Func(ty) => format!("a function {ty}"),
        ExternType::Global(ty) => {
            format!("a {} global {}", if ty.is_mutable { "mutable" } else { "constant" }, ty.value)
        }
        ExternType::Table(ty) => {
            let element = crate::ValType::from(ty.element);
            format!("a table of {} {element}", limits(ty.minimum, ty.maximum))
        }
        ExternType::Memory(ty) => {
            let kind = if ty.is_shared { "a shared memory" } else { "a memory" };
            let pages = limits(ty.minimum_wasm_pages, ty.maximum_wasm_pages);
            format!("{kind} of {pages} pages{}", if ty.is_64 { ", 64-bit" } else { "" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_match_by_inclusion() {
        assert!(limits_match((2, Some(3)), (1, Some(3))));
        assert!(limits_match((2, None), (2, None)));
        assert!(!limits_match((1, Some(3)), (2, Some(3))), "too small");
        assert!(!limits_match((2, None), (1, Some(3))), "could grow too far");
        assert!(!limits_match((2, Some(4)), (1, Some(3))), "could grow too far");
    }
}
