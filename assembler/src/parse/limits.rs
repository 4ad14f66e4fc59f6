//! Types of tables, memories and globals.
//!
//! Spec: Text Format, Types, Limits.

use super::{Assembler, Parse};
use crate::Diagnostic;
use crate::encode::leb;
use crate::lexer::Kind;

impl Assembler<'_> {
    /// `i32` or `i64` before limits: whether addresses have 64 bits.
    pub(super) fn address_type(&mut self) -> bool {
        !self.take_keyword(b"i32") && self.take_keyword(b"i64")
    }

    /// `min max?`, appended as flags and numbers.
    pub(super) fn limits(&mut self, is_64: bool) -> Parse<Limits> {
        let min = self.unsigned(u64::MAX, "a minimum")?;
        let max = match self.peek().kind {
            Kind::Number => Some(self.unsigned(u64::MAX, "a maximum")?),
            _ => None,
        };
        Ok(Limits { is_64, min, max, shared: false, page_size_log2: None })
    }

    /// A table type.
    pub(super) fn table_type(&mut self, out: &mut Vec<u8>) -> Parse {
        let shared = self.take_keyword(b"shared");
        let is_64 = self.address_type();
        let limits = Limits { shared, ..self.limits(is_64)? };
        self.reference_type(out)?;
        limits.write(out);
        Ok(())
    }

    /// A memory type.
    pub(super) fn memory_type(&mut self, out: &mut Vec<u8>) -> Parse {
        let is_64 = self.address_type();
        let limits = self.limits(is_64)?;
        let shared = self.take_keyword(b"shared");
        let page_size_log2 = self.page_size()?;
        Limits { shared, page_size_log2, ..limits }.write(out);
        Ok(())
    }

    /// `(pagesize n)?` as a logarithm.
    pub(super) fn page_size(&mut self) -> Parse<Option<u32>> {
        let Some(open) = self.take_form(b"pagesize") else { return Ok(None) };
        let token = self.peek();
        let size = self.unsigned(u64::from(u32::MAX), "a page size in bytes")?;
        if !size.is_power_of_two() {
            let error = Diagnostic::error("invalid-page-size", token.span, "not a power of two");
            return Err(self.fail(error));
        }
        self.close(open, &[])?;
        Ok(Some(size.ilog2()))
    }

    /// A global type.
    pub(super) fn global_type(&mut self, out: &mut Vec<u8>) -> Parse {
        let (open, shared) = match self.take_form(b"mut") {
            Some(open) => (Some((open, true)), false),
            None => match self.take_form(b"shared") {
                Some(open) => (Some((open, self.take_keyword(b"mut"))), true),
                None => (None, false),
            },
        };
        self.value_type(out)?;
        let mutable = open.is_some_and(|(_, mutable)| mutable);
        out.push(u8::from(mutable) | u8::from(shared) << 1);
        match open {
            Some((open, _)) => self.close(open, &[]),
            None => Ok(()),
        }
    }
}

/// Limits of a table or memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub is_64: bool,
    pub min: u64,
    pub max: Option<u64>,
    pub shared: bool,
    pub page_size_log2: Option<u32>,
}

impl Limits {
    /// Flags, minimum, maximum, page size.
    pub fn write(self, out: &mut Vec<u8>) {
        let flags = [self.max.is_some(), self.shared, self.is_64, self.page_size_log2.is_some()];
        out.push(flags.iter().rev().fold(0, |bits, &flag| bits << 1 | u8::from(flag)));
        leb::unsigned_64(out, self.min);
        if let Some(max) = self.max {
            leb::unsigned_64(out, max);
        }
        if let Some(log2) = self.page_size_log2 {
            leb::unsigned(out, log2);
        }
    }
}
