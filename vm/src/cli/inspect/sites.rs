//! `brant inspect --sites`: where a function can stop, and what its state is there.
//!
//! Both tiers stop at these sites and agree about them. Lines are written as they come, because the
//! listing of a large function can be far larger than the function.

use std::io::{self, Write};

use brant_engine::ValType;
use brant_engine::site::{Operands, Site, SiteId, Sites};
use serde_json::json;

use super::super::exit::Failure;
use super::super::options::Format;
use super::functions::Functions;

/// Writes the sites of the functions that `wanted` names, of all of them for the empty text.
pub fn sites(functions: &Functions<'_>, wanted: &str, format: Format) -> Result<u8, Failure> {
    let module = &functions.module;
    let mut out = io::BufWriter::new(io::stdout().lock());
    for index in functions.select(wanted)? {
        module.validate_body(index).map_err(|error| functions.invalid(&error))?;
        let sites = Sites::of(module, index).map_err(|error| functions.invalid(&error))?;
        let start = module.body_offset(index).unwrap_or_default();
        let mut lines = Lines { out: &mut out, start, sites: &sites, format };
        lines.heading(index, module.function_name(index), &functions.heading(index))?;
        let mut written = Ok(());
        Sites::each(module, index, |id, operands| {
            if let (Ok(()), Some(site)) = (&written, sites.get(id)) {
                written = lines.site(id, site, operands);
            }
        })
        .map_err(|error| functions.invalid(&error))?;
        written?;
        lines.end()?;
    }
    out.flush()?;
    Ok(0)
}

struct Lines<'a, W> {
    out: &'a mut W,
    /// Where the body begins in the module.
    start: u64,
    sites: &'a Sites,
    format: Format,
}

impl<W: Write> Lines<'_, W> {
    fn heading(&mut self, index: u32, name: Option<&str>, heading: &str) -> io::Result<()> {
        match self.format {
            Format::Text => {
                let (count, locals) = (self.sites.len(), self.sites.locals().len());
                writeln!(self.out, "{heading}: {}, {}", many(count, "site"), many(locals, "local"))
            }
            Format::Json => {
                let locals: Vec<String> =
                    self.sites.locals().iter().map(ValType::to_string).collect();
                let (name, locals) = (json!(name), json!(locals));
                write!(
                    self.out,
                    r#"{{"function":{index},"locals":{locals},"name":{name},"sites":["#
                )
            }
        }
    }

    fn site(&mut self, id: SiteId, site: Site, operands: Operands<'_>) -> io::Result<()> {
        let offset = self.start + u64::from(site.offset);
        let live = self.sites.live(id);
        match self.format {
            Format::Text => {
                write!(self.out, "{:>6}  {offset:#7x}  {}", id.0, site.kind)?;
                let mut before = &"           live "[site.kind.name().len()..];
                for local in live.iter() {
                    write!(self.out, "{before}{local}:{}", self.sites.locals()[local as usize])?;
                    before = " ";
                }
                let mut before = match before {
                    " " => "  operands ",
                    _ => &"           operands "[site.kind.name().len()..],
                };
                for operand in operands.iter() {
                    write!(self.out, "{before}{operand}")?;
                    before = " ";
                }
                writeln!(self.out)
            }
            Format::Json => {
                let comma = if id.0 == 0 { "" } else { "," };
                let operands = operands.iter().map(|ty| ty.to_string()).collect::<Vec<_>>();
                let value = json!({
                    "site": id.0,
                    "offset": offset,
                    "kind": site.kind.name(),
                    "live": live.iter().collect::<Vec<_>>(),
                    "operands": operands,
                });
                write!(self.out, "{comma}{value}")
            }
        }
    }

    fn end(&mut self) -> io::Result<()> {
        match self.format {
            Format::Text => Ok(()),
            Format::Json => writeln!(self.out, "]}}"),
        }
    }
}

fn many(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
