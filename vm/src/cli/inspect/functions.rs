//! The functions of a module that a listing is asked for, and what their headings say.
//!
//! It knows nothing of what is listed of them.

use std::fmt::Display;
use std::ops::Range;

use brant_engine::{Engine, Module};

use super::super::exit::Failure;
use super::super::input::{Input, argument};
use super::super::table::printable;

/// A module that is looked into, function by function.
pub struct Functions<'a> {
    /// The module; its bodies have not been validated.
    pub module: Module,
    input: &'a Input,
}

impl<'a> Functions<'a> {
    /// Those of a module.
    pub fn new(input: &'a Input) -> Result<Self, Failure> {
        let module = Module::lazy(&Engine::default(), input.bytes.clone());
        let module = module.map_err(|error| invalid(input, &error))?;
        Ok(Self { module, input })
    }

    /// Something in the module that is not valid, or cannot be put together.
    pub fn invalid(&self, error: &dyn Display) -> Failure {
        invalid(self.input, error)
    }

    /// The one that `wanted` names, or all that have a body for the empty text.
    pub fn select(&self, wanted: &str) -> Result<Range<u32>, Failure> {
        let all = self.module.imported_functions()..self.module.function_count() as u32;
        if wanted.is_empty() {
            return Ok(all);
        }
        let index = self.find(wanted).ok_or_else(|| self.unknown(wanted))?;
        if !all.contains(&index) {
            return Err(Failure::usage(format!("the function `{wanted}` is imported"))
                .with_help("only functions with a body can be shown"));
        }
        Ok(index..index + 1)
    }

    /// What a heading calls a function.
    pub fn heading(&self, index: u32) -> String {
        match self.module.function_name(index) {
            Some(name) => format!("function {index} ${}", printable(name)),
            None => format!("function {index}"),
        }
    }

    /// A function by its index, its name, or the name of its export.
    fn find(&self, wanted: &str) -> Option<u32> {
        let count = self.module.function_count() as u32;
        if let Ok(index) = wanted.parse() {
            return Some(index).filter(|&index| index < count);
        }
        let name = wanted.strip_prefix('$').unwrap_or(wanted);
        let named = (0..count).find(|&index| self.module.function_name(index) == Some(name));
        named.or_else(|| self.module.exported_function(name))
    }

    fn unknown(&self, wanted: &str) -> Failure {
        let names =
            (0..self.module.function_count() as u32).filter_map(|i| self.module.function_name(i));
        let near = names
            .map(|name| (strsim::damerau_levenshtein(wanted, name), name))
            .filter(|(distance, _)| *distance <= 3 && wanted.parse::<u32>().is_err())
            .min();
        let failure = Failure::usage(format!("there is no function `{wanted}`"));
        match near {
            Some((_, name)) => failure.with_help(format!("did you mean `{}`?", printable(name))),
            None => failure.with_help("give an index, a name or the name of an export"),
        }
    }
}

fn invalid(input: &Input, error: &dyn Display) -> Failure {
    Failure::load(format!("{}: {error}", input.name))
        .with_help(format!("`brant check {}` shows all that is wrong", argument(&input.name)))
}
