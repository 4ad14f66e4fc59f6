//! Compiled functions as bytes: the form in which they run, are looked up, and are kept on disk.
//!
//! Everything is found by offset and nothing is unpacked, so code that is mapped from a file can
//! run at once, and side tables take a fraction of the memory that structures would.
//! Bytes may come from a file: [`Packed::check`] says whether they have this form, and readers of
//! others get nothing, without a panic.
//!
//! ```text
//! 0   code bytes, traps, calls, slot bytes: four counts of 32 bits, little-endian
//! 16  code, filled up to a multiple of 4
//!     traps   code offset | cause, body offset << 8                    ascending by code offset
//!     calls   code offset | kind, body offset << 8 | site | pad offset | record bytes | slots at
//!     slots   of each call: number << 2 | operand << 1 | constant, then offset / 8 or two words;
//!             all as LEB128
//! ```

use brant_isa::Trap;

use crate::compile::{
    CallKind, NativeCall, NativeFunction, NativeTrap, RecordPlace, RecordSlot, SlotOf, TrapCause,
};
use crate::site::SiteId;

/// Where the code begins. Keeps the alignment of the whole.
pub const CODE_AT: usize = 16;

const TRAP_BYTES: usize = 8;
const CALL_BYTES: usize = 24;

/// The cause of a trap that no operator names.
const ENTRY_CAUSE: u8 = 0xff;

/// Stands for no pad.
const NO_PAD: u32 = u32::MAX;

/// No record is larger: compilers give up before bodies have so many live values.
const MAX_RECORD_BYTES: u32 = 64 << 20;

/// Offsets in bodies have 24 bits; validation refuses larger bodies.
const BODY_LIMIT: u32 = 1 << 24;

const KINDS: [CallKind; 5] =
    [CallKind::Function, CallKind::Operation, CallKind::Poll, CallKind::Fuel, CallKind::TailCall];

/// A compiled function in its packed form.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a> {
    bytes: &'a [u8],
    code_bytes: usize,
    traps_at: usize,
    calls_at: usize,
    slots_at: usize,
}

/// A call, as [`NativeCall`] describes it.
#[derive(Clone, Copy, Debug)]
pub struct CallRow<'a> {
    /// Which one it is, in the order of return addresses.
    pub number: usize,
    pub body_offset: u32,
    pub kind: CallKind,
    pub site: SiteId,
    pub pad_offset: Option<u32>,
    pub record_bytes: u32,
    slots: &'a [u8],
}

/// Packs what a compiler made. None if something in it is out of every bound.
pub fn pack(made: &NativeFunction) -> Option<Vec<u8>> {
    let code_bytes = made.code.len().next_multiple_of(4);
    let tables = made.traps.len() * TRAP_BYTES + made.calls.len() * CALL_BYTES;
    let mut slots = Vec::new();
    let mut bytes = Vec::with_capacity(CODE_AT + code_bytes + tables + made.calls.len() * 16);
    let word = |bytes: &mut Vec<u8>, word: usize| -> Option<()> {
        bytes.extend(u32::try_from(word).ok()?.to_le_bytes());
        Some(())
    };
    for count in [made.code.len(), made.traps.len(), made.calls.len(), 0] {
        word(&mut bytes, count)?;
    }
    bytes.extend(&made.code);
    bytes.resize(CODE_AT + code_bytes, 0);
    let tagged = |offset: u32, tag: u8| {
        (offset < BODY_LIMIT).then_some((offset << 8 | u32::from(tag)) as usize)
    };
    for trap in &made.traps {
        let cause = match trap.cause {
            TrapCause::Guest(trap) => trap as u8,
            TrapCause::Entry => ENTRY_CAUSE,
        };
        word(&mut bytes, trap.code_offset as usize)?;
        word(&mut bytes, tagged(trap.body_offset, cause)?)?;
    }
    for call in &made.calls {
        let kind = KINDS.iter().position(|&kind| kind == call.kind)? as u8;
        word(&mut bytes, call.code_offset as usize)?;
        word(&mut bytes, tagged(call.body_offset, kind)?)?;
        word(&mut bytes, call.site.0 as usize)?;
        word(&mut bytes, call.pad_offset.unwrap_or(NO_PAD) as usize)?;
        word(&mut bytes, call.record_bytes as usize)?;
        word(&mut bytes, slots.len())?;
        pack_slots(call, &mut slots);
    }
    bytes[12..16].copy_from_slice(&u32::try_from(slots.len()).ok()?.to_le_bytes());
    bytes.extend(slots);
    Some(bytes)
}

fn pack_slots(call: &NativeCall, bytes: &mut Vec<u8>) {
    for slot in &call.slots {
        let (number, is_operand) = match slot.what {
            SlotOf::Local(number) => (number, 0),
            SlotOf::Operand(number) => (number, 2),
        };
        let head = u64::from(number) << 2 | is_operand;
        match slot.at {
            RecordPlace::Offset(offset) => {
                leb(head, bytes);
                leb(u64::from(offset / 8), bytes);
            }
            RecordPlace::Constant([low, high]) => {
                leb(head | 1, bytes);
                leb(low, bytes);
                leb(high, bytes);
            }
        }
    }
}

fn leb(mut value: u64, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Takes a number from the front of `bytes`; none where it does not end or has too many bits.
fn take_leb(bytes: &mut &[u8]) -> Option<u64> {
    let (mut value, mut shift) = (0u64, 0);
    loop {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        value |= bits.checked_shl(shift)?;
        if bits << shift >> shift != bits {
            return None;
        }
        if byte < 0x80 {
            return Some(value);
        }
        shift += 7;
    }
}

impl<'a> Packed<'a> {
    /// Takes bytes for a packed function: looks at its counts only.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let count = |i: usize| Some(u32_at(bytes, 4 * i)? as usize);
        let (code_bytes, traps, calls, slots) = (count(0)?, count(1)?, count(2)?, count(3)?);
        let traps_at = CODE_AT + code_bytes.next_multiple_of(4);
        let calls_at = traps_at.checked_add(traps.checked_mul(TRAP_BYTES)?)?;
        let slots_at = calls_at.checked_add(calls.checked_mul(CALL_BYTES)?)?;
        let is_whole = slots_at.checked_add(slots)? == bytes.len() && code_bytes > 0;
        is_whole.then_some(Self { bytes, code_bytes, traps_at, calls_at, slots_at })
    }

    /// Whether all of it has the form that this file describes.
    pub fn check(&self) -> bool {
        let code_bytes = self.code_bytes as u32;
        let mut last = None;
        for i in 0..self.traps_count() {
            let Some(trap) = self.trap_row(i) else { return false };
            if last >= Some(trap.code_offset) || trap.code_offset >= code_bytes {
                return false;
            }
            last = Some(trap.code_offset);
        }
        let mut last = None;
        for i in 0..self.calls_count() {
            let (Some(offset), Some(call)) = (self.call_offset(i), self.call_row(i)) else {
                return false;
            };
            let is_in_order = last < Some(offset) && offset <= code_bytes;
            let has_pad = call.pad_offset.is_none_or(|pad| pad < code_bytes);
            if !is_in_order || !has_pad || !call.has_sound_slots() {
                return false;
            }
            last = Some(offset);
        }
        true
    }

    /// How many bytes of code there are.
    pub fn code_bytes(&self) -> usize {
        self.code_bytes
    }

    /// How many instructions can trap.
    pub fn traps_count(&self) -> usize {
        (self.calls_at - self.traps_at) / TRAP_BYTES
    }

    /// How many calls there are.
    pub fn calls_count(&self) -> usize {
        (self.slots_at - self.calls_at) / CALL_BYTES
    }

    /// The trap at an offset of the code. Allocates nothing.
    pub fn trap(&self, code_offset: u32) -> Option<NativeTrap> {
        let offset = |i| u32_at(self.bytes, self.traps_at + i * TRAP_BYTES);
        self.trap_row(search(self.traps_count(), code_offset, offset)?)
    }

    fn trap_row(&self, number: usize) -> Option<NativeTrap> {
        let at = self.traps_at + number * TRAP_BYTES;
        let (code_offset, tagged) = (u32_at(self.bytes, at)?, u32_at(self.bytes, at + 4)?);
        let cause = match tagged as u8 {
            ENTRY_CAUSE => TrapCause::Entry,
            code => TrapCause::Guest(Trap::from_code(u64::from(code))?),
        };
        Some(NativeTrap { code_offset, cause, body_offset: tagged >> 8 })
    }

    /// The call that returns to an offset of the code. Allocates nothing.
    pub fn call(&self, code_offset: u32) -> Option<CallRow<'a>> {
        self.call_row(search(self.calls_count(), code_offset, |i| self.call_offset(i))?)
    }

    fn call_offset(&self, number: usize) -> Option<u32> {
        u32_at(self.bytes, self.calls_at + number * CALL_BYTES)
    }

    /// The call of a number below that of all calls.
    pub fn call_row(&self, number: usize) -> Option<CallRow<'a>> {
        let at = self.calls_at + number * CALL_BYTES;
        let word = |i: usize| u32_at(self.bytes, at + 4 * i);
        let slots = &self.bytes[self.slots_at..];
        let end = match number + 1 < self.calls_count() {
            true => u32_at(self.bytes, at + CALL_BYTES + 20)? as usize,
            false => slots.len(),
        };
        let tagged = word(1)?;
        Some(CallRow {
            number,
            body_offset: tagged >> 8,
            kind: *KINDS.get(usize::from(tagged as u8))?,
            site: SiteId(word(2)?),
            pad_offset: Some(word(3)?).filter(|&pad| pad != NO_PAD),
            record_bytes: word(4)?,
            slots: slots.get(word(5)? as usize..end)?,
        })
    }
}

impl<'a> CallRow<'a> {
    /// Where each live local and operand is in the record.
    pub fn slots(&self) -> impl Iterator<Item = RecordSlot> + use<'a> {
        let mut rest = self.slots;
        std::iter::from_fn(move || take_slot(&mut rest))
    }

    /// Whether all places lie in a record of a size that code can have.
    fn has_sound_slots(&self) -> bool {
        let mut rest = self.slots;
        while !rest.is_empty() {
            let Some(slot) = take_slot(&mut rest) else { return false };
            if let RecordPlace::Offset(offset) = slot.at
                && offset.checked_add(8).is_none_or(|end| end > self.record_bytes)
            {
                return false;
            }
        }
        self.record_bytes <= MAX_RECORD_BYTES
    }
}

fn take_slot(rest: &mut &[u8]) -> Option<RecordSlot> {
    let head = take_leb(rest)?;
    let number = u32::try_from(head >> 2).ok()?;
    let what = match head & 2 {
        0 => SlotOf::Local(number),
        _ => SlotOf::Operand(number),
    };
    let first = take_leb(rest)?;
    let at = match head & 1 {
        0 => RecordPlace::Offset(u32::try_from(first).ok()?.checked_mul(8)?),
        _ => RecordPlace::Constant([first, take_leb(rest)?]),
    };
    Some(RecordSlot { what, at })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let found = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*found))
}

/// The row of `count` ascending ones that has `wanted`.
fn search(count: usize, wanted: u32, row: impl Fn(usize) -> Option<u32>) -> Option<usize> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        match row(middle)?.cmp(&wanted) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Equal => return Some(middle),
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function() -> NativeFunction {
        let call = |code_offset, kind, pad_offset, slots: Vec<RecordSlot>| NativeCall {
            code_offset,
            body_offset: 7 * code_offset,
            kind,
            site: SiteId(code_offset),
            pad_offset,
            record_bytes: 1 << 20,
            slots,
        };
        let slot = |what, at| RecordSlot { what, at };
        NativeFunction {
            code: (0..101).collect(),
            traps: vec![
                NativeTrap { code_offset: 0, cause: TrapCause::Entry, body_offset: 0 },
                NativeTrap {
                    code_offset: 77,
                    cause: TrapCause::Guest(Trap::Unreachable),
                    body_offset: BODY_LIMIT - 1,
                },
            ],
            calls: vec![
                call(5, CallKind::Poll, None, vec![]),
                call(
                    50,
                    CallKind::Function,
                    Some(100),
                    vec![
                        slot(SlotOf::Local(3), RecordPlace::Offset(16)),
                        slot(SlotOf::Local(49_999), RecordPlace::Constant([u64::MAX, 1 << 63])),
                        slot(SlotOf::Operand(0), RecordPlace::Offset((1 << 20) - 8)),
                    ],
                ),
                call(70, CallKind::TailCall, None, vec![]),
                call(71, CallKind::Fuel, None, vec![]),
                call(101, CallKind::Operation, Some(0), vec![]),
            ],
        }
    }

    #[test]
    fn what_is_packed_is_found_again() {
        let made = function();
        let bytes = pack(&made).expect("it has usual sizes");
        let packed = Packed::new(&bytes).expect("it was packed");
        assert!(packed.check());
        assert_eq!(packed.code_bytes(), made.code.len());
        assert_eq!(bytes[CODE_AT..][..made.code.len()], made.code);
        for offset in 0..200 {
            let trap = made.traps.iter().find(|trap| trap.code_offset == offset);
            assert_eq!(packed.trap(offset), trap.copied());
            let call = made.calls.iter().find(|call| call.code_offset == offset);
            let found = packed.call(offset).map(|row| NativeCall {
                code_offset: offset,
                body_offset: row.body_offset,
                kind: row.kind,
                site: row.site,
                pad_offset: row.pad_offset,
                record_bytes: row.record_bytes,
                slots: row.slots().collect(),
            });
            assert_eq!(found.as_ref(), call);
        }
    }

    #[test]
    fn bodies_that_no_validation_lets_through_are_not_packed() {
        let mut made = function();
        made.traps[1].body_offset = BODY_LIMIT;
        assert_eq!(pack(&made), None);
    }

    #[test]
    fn every_truncation_is_refused_and_no_damage_panics() {
        let bytes = pack(&function()).expect("it has usual sizes");
        for len in 0..bytes.len() {
            assert!(Packed::new(&bytes[..len]).is_none_or(|packed| !packed.check()), "{len}");
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                let Some(packed) = Packed::new(&damaged).filter(Packed::check) else { continue };
                for offset in 0..200 {
                    packed.trap(offset);
                    packed.call(offset).map(|row| row.slots().count());
                }
            }
        }
    }
}
