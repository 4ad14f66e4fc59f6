//! Custom sections: bytes at a place, and `producers`, which has a text of its own.

use super::outline::SectionKind;
use super::reader::{Fault, Reader, u32_length_bytes};
use super::sink::Sink;
use super::strings;

/// Fields of the `producers` section in the order in which the assembler writes them.
const PRODUCER_FIELDS: [&str; 3] = ["language", "sdk", "processed-by"];

/// Where a custom section stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Before every other section.
    First,
    /// Behind this one, with others to come.
    After(SectionKind),
    /// Behind all of them.
    Last,
}

/// Puts one custom section.
pub(super) fn put_custom(
    sink: &mut Sink<'_>, place: Place, mut contents: Reader<'_>,
) -> Result<(), Fault> {
    let name = contents.name("the name of a custom section")?;
    if name == "producers" && place == Place::Last && producers_are_exact(contents).unwrap_or(false)
    {
        return put_producers(sink, contents);
    }
    sink.put("(@custom ");
    strings::put_name(sink, name);
    match place {
        Place::First => sink.put(" (before first)"),
        // Nothing can be placed by the data count, but the code always follows it.
        Place::After(SectionKind::DataCount) => sink.put(" (before code)"),
        Place::After(kind) => {
            sink.put(" (after ");
            sink.put(kind.anchor());
            sink.put_byte(b')');
        }
        Place::Last => {}
    }
    strings::put_data(sink, contents.rest(), 2);
    sink.put_byte(b')');
    Ok(())
}

/// Whether the assembler would write a `producers` section as it is here: fields in their order,
/// none twice, none empty, shortest numbers.
fn producers_are_exact(mut contents: Reader<'_>) -> Result<bool, Fault> {
    let mut exact = true;
    let mut fields = PRODUCER_FIELDS.iter();
    let count = shortest(&mut contents, &mut exact)?;
    for _ in 0..count {
        let length = shortest(&mut contents, &mut exact)?;
        let name = contents.take(length as usize, "a field")?;
        exact &= fields.any(|field| field.as_bytes() == name);
        let values = shortest(&mut contents, &mut exact)?;
        exact &= values > 0;
        for _ in 0..2 * u64::from(values) {
            let length = shortest(&mut contents, &mut exact)?;
            let text = contents.take(length as usize, "a value")?;
            exact &= std::str::from_utf8(text).is_ok();
        }
    }
    Ok(exact && count > 0 && contents.is_done())
}

/// A number; notes if it is longer than it must be.
fn shortest(contents: &mut Reader<'_>, exact: &mut bool) -> Result<u32, Fault> {
    let start = contents.position();
    let value = contents.u32("a number")?;
    *exact &= contents.position() - start == u32_length_bytes(value);
    Ok(value)
}

fn put_producers(sink: &mut Sink<'_>, mut contents: Reader<'_>) -> Result<(), Fault> {
    sink.put("(@producers");
    for _ in 0..contents.u32("the number of fields")? {
        let field = contents.name("the name of a field")?;
        for _ in 0..contents.u32("the number of values")? {
            sink.new_line(2);
            sink.put_byte(b'(');
            sink.put(field);
            sink.put_byte(b' ');
            strings::put_name(sink, contents.name("a value")?);
            sink.put_byte(b' ');
            strings::put_name(sink, contents.name("a version")?);
            sink.put_byte(b')');
        }
    }
    sink.put_byte(b')');
    Ok(())
}
