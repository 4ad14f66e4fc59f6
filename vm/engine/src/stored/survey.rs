//! What is in a file of stored code, for people and tests: looks at every byte, and runs nothing.

use std::collections::BTreeMap;

use super::format::{self, HEADER_BYTES};
use crate::native::packed::Packed;

/// What is in a file of stored code.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Survey {
    /// Functions, and loops that code begins at, with sound code.
    pub functions: u64,
    /// Those that the compiler has refused.
    pub refused: u64,
    /// Those whose bytes are not what they were.
    pub damaged: u64,
    /// Bytes of sound machine code.
    pub code_bytes: u64,
    /// Places that can trap, in sound code.
    pub traps: u64,
    /// Calls, in sound code.
    pub calls: u64,
    /// Values that calls keep in records, in sound code.
    pub slots: u64,
    /// Bytes of the file up to the end of the last whole batch.
    pub valid_bytes: u64,
}

/// Looks at all of a file. None if it does not begin with a header.
pub fn survey(bytes: &[u8]) -> Option<Survey> {
    let key = format::header_key(bytes.first_chunk::<HEADER_BYTES>()?)?;
    let rows = format::rows(&key, bytes)?;
    let valid_bytes = format::valid_bytes(&key, 0, |at, buffer| {
        let part = usize::try_from(at).ok().and_then(|at| bytes.get(at..)?.get(..buffer.len()));
        part.map(|part| buffer.copy_from_slice(part)).is_some()
    });
    let mut survey = Survey { valid_bytes, ..Survey::default() };
    // The last row of each holds.
    let latest: BTreeMap<_, _> =
        rows.iter().map(|row| ((row.function, format::entry_number(row.entry)), row)).collect();
    for row in latest.into_values() {
        let part = bytes.get(row.at..row.at + row.len_bytes).unwrap_or_default();
        let packed = Packed::new(part).filter(Packed::check);
        match (row.fits(&key, part), row.len_bytes, packed) {
            (true, 0, _) => survey.refused += 1,
            (true, _, Some(packed)) => survey.take(&packed),
            _ => survey.damaged += 1,
        }
    }
    Some(survey)
}

impl Survey {
    fn take(&mut self, packed: &Packed<'_>) {
        self.functions += 1;
        self.code_bytes += packed.code_bytes() as u64;
        self.traps += packed.traps_count() as u64;
        self.calls += packed.calls_count() as u64;
        let rows = (0..packed.calls_count()).filter_map(|number| packed.call_row(number));
        self.slots += rows.map(|row| row.slots().count() as u64).sum::<u64>();
    }
}
