//! Functions by instance and index: what a reference is outside of its store.
//!
//! A function of the host has the name of the first import that it fills, which is an index of the
//! importing module too.

use std::collections::HashMap;

use super::PersistError;
use crate::frame::Slot;
use crate::store::StoreInner;
use crate::types::ValType;
use crate::vm::{FuncKind, FuncSlot};

/// A function that a state refers to, or null.
///
/// Its bits are 0 for null, else the number of the instance plus one in the upper half and the
/// function's index, imported ones first, in the lower half.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FuncRef {
    /// The instance, in the order in which those of the store were made, and the function, by index
    /// of its module.
    pub place: Option<(u32, u32)>,
}

impl FuncRef {
    /// As one number.
    pub fn bits(self) -> u64 {
        self.place
            .map_or(0, |(instance, function)| (u64::from(instance) + 1) << 32 | u64::from(function))
    }

    /// The reference that has these bits; null has no index.
    pub fn from_bits(bits: u64) -> Option<Self> {
        let place = match (bits >> 32).checked_sub(1) {
            None if bits == 0 => None,
            None => return None,
            Some(instance) => Some((instance as u32, bits as u32)),
        };
        Some(Self { place })
    }

    /// The number of the function in a store; none if it has no such function.
    pub(crate) fn in_store(self, store: &StoreInner) -> Option<u32> {
        let (instance, function) = self.place?;
        let instance = store.instances.get(instance as usize)?;
        let slot: *mut FuncSlot = *instance.functions.get(function as usize)?;
        // SAFETY: slots live as long as the store, and no guest runs.
        Some(unsafe { (*slot).reference })
    }
}

/// The way from numbers of a store to [`FuncRef`]s.
pub(crate) struct References<'a> {
    store: &'a StoreInner,
    /// Imports of host functions by number; made when the first is asked for.
    imported: std::cell::OnceCell<HashMap<u32, (u32, u32)>>,
}

impl<'a> References<'a> {
    pub fn of(store: &'a StoreInner) -> Self {
        Self { store, imported: std::cell::OnceCell::new() }
    }

    /// What a number of the store leads to.
    pub fn func(&self, reference: u32) -> Result<FuncRef, PersistError> {
        if reference == 0 {
            return Ok(FuncRef { place: None });
        }
        let slot = self.store.functions.slot(reference);
        // SAFETY: slots and blocks of instances live as long as the store, and no guest runs.
        let (kind, vm, index) = unsafe { ((*slot).kind, (*slot).vm, (*slot).index) };
        let place = match kind {
            // SAFETY: as above; functions of guests have an instance.
            FuncKind::Guest => (unsafe { (*vm).instance }, index),
            FuncKind::Host => {
                *self.imported().get(&reference).ok_or(PersistError::NamelessFunction)?
            }
        };
        Ok(FuncRef { place: Some(place) })
    }

    /// The slot with a function reference as bits of a [`FuncRef`].
    pub fn portable_slot(&self, slot: Slot) -> Result<Slot, PersistError> {
        match slot.ty {
            ValType::FuncRef => {
                Ok(Slot { bits: u128::from(self.func(slot.bits as u32)?.bits()), ..slot })
            }
            _ => Ok(slot),
        }
    }

    fn imported(&self) -> &HashMap<u32, (u32, u32)> {
        self.imported.get_or_init(|| {
            let mut found = HashMap::new();
            for (instance, inner) in (0..).zip(&self.store.instances) {
                let count = inner.module.inner().imported.functions;
                for (function, &slot) in (0..count).zip(&inner.functions) {
                    // SAFETY: slots live as long as the store, and no guest runs.
                    let reference = unsafe { (*slot).reference };
                    found.entry(reference).or_insert((instance, function));
                }
            }
            found
        })
    }
}

/// The slot of a state with references as numbers of the store.
pub(super) fn slot_in_store(store: &StoreInner, slot: Slot) -> Result<Slot, PersistError> {
    let bits = match slot.ty {
        ValType::FuncRef => {
            let bits = u64::try_from(slot.bits).map_err(|_| PersistError::Reference)?;
            let reference = FuncRef::from_bits(bits).ok_or(PersistError::Reference)?;
            match reference.place {
                None => 0,
                Some(_) => reference.in_store(store).ok_or(PersistError::Reference)?,
            }
        }
        ValType::ExternRef if slot.bits > store.externs.len() as u128 => {
            return Err(PersistError::Reference);
        }
        _ => return Ok(slot),
    };
    Ok(Slot { bits: u128::from(bits), ..slot })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_has_bits_of_its_own() {
        for place in [None, Some((0, 0)), Some((0, 7)), Some((u32::MAX - 1, u32::MAX))] {
            let reference = FuncRef { place };
            assert_eq!(FuncRef::from_bits(reference.bits()), Some(reference));
        }
        assert_eq!(FuncRef::from_bits(5), None, "null has no index");
    }
}
