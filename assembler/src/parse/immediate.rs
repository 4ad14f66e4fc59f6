//! What follows the name of an instruction: indices, constants, memory arguments, types.
//!
//! The forms that make up most of a text have a fast way for their usual spelling, and leave
//! everything else to the general one.

use brant_isa::Opcode;

use super::{Assembler, Parse};
use crate::encode::leb;
use crate::instruction::{Form, Instruction};
use crate::lexer::{Kind, is_id};
use crate::names::name_of;
use crate::number;
use crate::resolve::{self, Space};
use crate::{Diagnostic, Span};

impl Assembler<'_> {
    /// Reads what follows `instruction` and appends all of it to the code.
    ///
    /// Block types and `call_indirect` may name a type that has to be made first; they are read
    /// by the caller.
    #[inline(always)]
    pub(super) fn immediates(&mut self, instruction: &Instruction) -> Parse {
        if !matches!(instruction.form, Form::CastType { .. }) {
            instruction.write(&mut self.body.code);
        }
        match instruction.form {
            Form::Plain => Ok(()),
            Form::Local => self.local(),
            Form::I32 => self.i32_immediate(),
            Form::MemArg(natural) => self.memory_argument(natural),
            Form::Label => self.label(),
            Form::Func => self.index_immediate(Space::Func),
            Form::Global => self.index_immediate(Space::Global),
            _ => self.rare_immediates(instruction),
        }
    }

    #[inline(never)]
    fn rare_immediates(&mut self, instruction: &Instruction) -> Parse {
        match instruction.form {
            Form::I64 => self.i64_immediate(),
            Form::F32 => self.float_immediate(4),
            Form::F64 => self.float_immediate(8),
            Form::V128 => self.with_code(|this, code| this.v128_constant(code)),
            Form::Type => self.index_immediate(Space::Type),
            Form::Tag => self.index_immediate(Space::Tag),
            Form::Elem => self.index_immediate(Space::Elem),
            Form::DataDrop => {
                self.body.needs_data_count = true;
                self.index_immediate(Space::Data)
            }
            Form::Table => self.optional_index(Space::Table),
            Form::Memory => self.optional_index(Space::Memory),
            Form::TableCopy => self.two_optional(Space::Table),
            Form::MemoryCopy => self.two_optional(Space::Memory),
            Form::TableInit => self.segment_and_space(Space::Elem, Space::Table),
            Form::MemoryInit => {
                self.body.needs_data_count = true;
                self.segment_and_space(Space::Data, Space::Memory)
            }
            Form::LabelTable => self.label_table(),
            Form::Select => self.select_types(),
            Form::Lane => self.lane(255),
            Form::MemArgLane(natural) => self.memory_argument_and_lane(natural),
            Form::Shuffle => (0..16).try_for_each(|_| self.lane(255)),
            Form::HeapType => self.with_code(|this, code| this.heap_type(code)),
            Form::CastType { nullable } => self.cast(instruction, nullable),
            Form::BranchOnCast => self.branch_on_cast(),
            Form::StructField => self.struct_field(),
            Form::TypeCount => {
                self.index_immediate(Space::Type)?;
                let count = self.unsigned(u64::from(u32::MAX), "a number of elements")?;
                leb::unsigned_64(&mut self.body.code, count);
                Ok(())
            }
            Form::TypeData => {
                self.body.needs_data_count = true;
                self.index_immediate(Space::Type)?;
                self.index_immediate(Space::Data)
            }
            Form::TypeElem => {
                self.index_immediate(Space::Type)?;
                self.index_immediate(Space::Elem)
            }
            Form::TypeType => {
                self.index_immediate(Space::Type)?;
                self.index_immediate(Space::Type)
            }
            Form::Fence => {
                self.body.code.push(0);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Lends the code to a reader of something that is used elsewhere too.
    fn with_code(&mut self, read: impl FnOnce(&mut Self, &mut Vec<u8>) -> Parse) -> Parse {
        let mut code = std::mem::take(&mut self.body.code);
        let result = read(self, &mut code);
        self.body.code = code;
        result
    }

    /// A short decimal number and nothing else.
    #[inline(always)]
    fn small_number(&mut self) -> Option<u32> {
        self.lex.skip_space();
        let mut at = self.lex.at;
        let mut value = 0u32;
        loop {
            let byte = self.lex.byte_at(at);
            let digit = byte.wrapping_sub(b'0');
            if digit >= 10 {
                if is_id(byte) || byte == b'"' {
                    return None;
                }
                break;
            }
            value = value.wrapping_mul(10).wrapping_add(u32::from(digit));
            at += 1;
        }
        let len = at - self.lex.at;
        if len == 0 || len > 9 {
            return None;
        }
        self.lex.at = at;
        Some(value)
    }

    #[inline(always)]
    fn index_immediate(&mut self, space: Space) -> Parse {
        let index = match self.small_number() {
            Some(index) => index,
            None => self.index(space)?,
        };
        leb::unsigned(&mut self.body.code, index);
        Ok(())
    }

    fn optional_index(&mut self, space: Space) -> Parse {
        let index = self.take_index(space)?.unwrap_or(0);
        leb::unsigned(&mut self.body.code, index);
        Ok(())
    }

    fn two_optional(&mut self, space: Space) -> Parse {
        match self.take_index(space)? {
            None => self.body.code.extend_from_slice(&[0, 0]),
            Some(to) => {
                let from = self.index(space)?;
                leb::unsigned(&mut self.body.code, to);
                leb::unsigned(&mut self.body.code, from);
            }
        }
        Ok(())
    }

    /// `space? segment`, written the other way round.
    fn segment_and_space(&mut self, segment: Space, space: Space) -> Parse {
        let mut lex = self.lex.clone();
        lex.token();
        let both = matches!(lex.token().kind, Kind::Number | Kind::Id);
        let target = if both { self.index(space)? } else { 0 };
        let source = self.index(segment)?;
        leb::unsigned(&mut self.body.code, source);
        leb::unsigned(&mut self.body.code, target);
        Ok(())
    }

    #[inline(always)]
    fn local(&mut self) -> Parse {
        let index = match self.small_number() {
            Some(index) => index,
            None => self.named_local()?,
        };
        leb::unsigned(&mut self.body.code, index);
        Ok(())
    }

    fn named_local(&mut self) -> Parse<u32> {
        let token = self.peek();
        if token.kind != Kind::Id {
            // A number in an unusual spelling, or a mistake.
            return self.plain_index(Space::Local);
        }
        self.next();
        self.check_id(token.span)?;
        let name = name_of(self.text, token.span);
        if let Some(index) = self.body.locals.find(self.text, &name) {
            return Ok(index);
        }
        if !self.diagnostics.is_full() {
            let (ids, earlier) = (self.body.locals.ids(), self.diagnostics.list.len());
            let error = resolve::unknown(self.text, token.span, Space::Local, ids, earlier);
            self.diagnostics.push(error);
        }
        Ok(0)
    }

    /// An index that must be a number.
    fn plain_index(&mut self, space: Space) -> Parse<u32> {
        let token = self.peek();
        if token.kind != Kind::Number {
            let what = format!("a {} index or identifier", space.noun());
            return Err(self.unexpected(token, &[&what]));
        }
        self.unsigned(u64::from(u32::MAX), "a 32-bit index").map(|index| index as u32)
    }

    #[inline(always)]
    fn label(&mut self) -> Parse {
        let depth = match self.small_number() {
            Some(depth) => depth,
            None => self.named_label()?,
        };
        leb::unsigned(&mut self.body.code, depth);
        Ok(())
    }

    pub(super) fn named_label(&mut self) -> Parse<u32> {
        let token = self.peek();
        if token.kind != Kind::Id {
            return self.plain_index(Space::Label);
        }
        self.next();
        self.check_id(token.span)?;
        let name = name_of(self.text, token.span);
        if let Some(depth) = self.body.labels.find(self.text, &name) {
            return Ok(depth);
        }
        if !self.diagnostics.is_full() {
            let (ids, earlier) = (self.body.labels.ids(), self.diagnostics.list.len());
            let error = resolve::unknown(self.text, token.span, Space::Label, ids, earlier);
            self.diagnostics.push(error);
        }
        Ok(0)
    }

    /// `label+`, the last of which is the default.
    fn label_table(&mut self) -> Parse {
        let start = self.body.code.len();
        let mut count = 0u32;
        loop {
            self.lex.skip_space();
            if count > 0 && !matches!(self.lex.byte(), b'$' | b'0'..=b'9') {
                break;
            }
            self.label()?;
            count += 1;
        }
        // The number of targets goes before them; it does not count the default.
        let mut head = Vec::new();
        leb::unsigned(&mut head, count - 1);
        let end = self.body.code.len();
        self.body.code.resize(end + head.len(), 0);
        self.body.code.copy_within(start..end, start + head.len());
        self.body.code[start..start + head.len()].copy_from_slice(&head);
        Ok(())
    }

    #[inline(always)]
    fn i32_immediate(&mut self) -> Parse {
        let value = match self.small_signed() {
            Some(value) => value,
            None => i64::from(self.integer(32)? as i32),
        };
        leb::signed(&mut self.body.code, value);
        Ok(())
    }

    fn i64_immediate(&mut self) -> Parse {
        let value = match self.small_signed() {
            Some(value) => value,
            None => self.integer(64)? as i64,
        };
        leb::signed(&mut self.body.code, value);
        Ok(())
    }

    /// A short decimal number with or without a minus and nothing else.
    #[inline(always)]
    fn small_signed(&mut self) -> Option<i64> {
        self.lex.skip_space();
        let start = self.lex.at;
        let negative = self.lex.byte() == b'-';
        self.lex.at += usize::from(negative);
        match self.digits_here() {
            Some(value) if negative => Some(-i64::from(value)),
            Some(value) => Some(i64::from(value)),
            None => {
                self.lex.at = start;
                None
            }
        }
    }

    /// [`Self::small_number`] without space before it.
    #[inline(always)]
    fn digits_here(&mut self) -> Option<u32> {
        if self.lex.byte().is_ascii_digit() { self.small_number() } else { None }
    }

    fn float_immediate(&mut self, len_bytes: usize) -> Parse {
        self.with_code(|this, code| this.float_constant(code, len_bytes))
    }

    /// `memory? offset=n? align=n?`
    #[inline(always)]
    fn memory_argument(&mut self, natural: u8) -> Parse {
        self.lex.skip_space();
        // Another instruction, or the end of this one: nothing was written.
        match self.lex.byte() {
            b'o' | b'a' | b'$' | b'0'..=b'9' => self.written_memory_argument(natural, None),
            _ => {
                self.body.code.extend_from_slice(&[natural, 0]);
                Ok(())
            }
        }
    }

    fn written_memory_argument(&mut self, natural: u8, memory: Option<u32>) -> Parse {
        self.lex.skip_space();
        let memory = match memory {
            Some(memory) => memory,
            None if matches!(self.lex.byte(), b'$' | b'0'..=b'9') => self.index(Space::Memory)?,
            None => 0,
        };
        let offset = self.field_of_memory_argument(b"offset=", u64::MAX)?.map_or(0, |(n, _)| n);
        let align = match self.field_of_memory_argument(b"align=", u64::MAX)? {
            None => natural,
            Some((align, _)) if align.is_power_of_two() => align.ilog2() as u8,
            Some((_, span)) => {
                let error = Diagnostic::error(
                    "malformed-alignment",
                    span,
                    "alignment must be a power of two",
                );
                self.diagnostics.push(error);
                natural
            }
        };
        let code = &mut self.body.code;
        if memory == 0 {
            code.push(align);
        } else {
            code.push(align | 0x40);
            leb::unsigned(code, memory);
        }
        leb::unsigned_64(code, offset);
        Ok(())
    }

    /// `name=number`, where it stands here.
    #[inline]
    fn field_of_memory_argument(&mut self, name: &[u8], max: u64) -> Parse<Option<(u64, Span)>> {
        self.lex.skip_space();
        let at = self.lex.at;
        if !self.text[at..].starts_with(name) {
            return Ok(None);
        }
        self.lex.at += name.len();
        if let Some(value) = self.digits_here() {
            return Ok(Some((u64::from(value), Span::new(at, self.lex.at))));
        }
        self.lex.at = at;
        let token = self.next();
        let digits = token.span.of(self.text).get(name.len()..).unwrap_or_default();
        match number::unsigned(digits, max) {
            Ok(value) => Ok(Some((value, token.span))),
            Err(error) => {
                let span = Span { start: token.span.start + name.len() as u32, ..token.span };
                Err(self.bad_number(span, error, "an unsigned number"))
            }
        }
    }

    /// A memory argument and a lane; one number alone is the lane.
    fn memory_argument_and_lane(&mut self, natural: u8) -> Parse {
        let mut lex = self.lex.clone();
        let first = lex.token();
        let second = lex.token();
        let word = second.span.of(self.text);
        let lane_only = first.kind == Kind::Number
            && second.kind != Kind::Number
            && !word.starts_with(b"offset=")
            && !word.starts_with(b"align=");
        if lane_only {
            self.written_memory_argument(natural, Some(0))?;
        } else {
            self.written_memory_argument(natural, None)?;
        }
        self.lane(255)
    }

    fn lane(&mut self, max: u64) -> Parse {
        let lane = self.unsigned(max, "a lane index")?;
        self.body.code.push(lane as u8);
        Ok(())
    }

    /// A vector constant as little-endian bytes.
    pub(crate) fn v128_constant(&mut self, out: &mut Vec<u8>) -> Parse {
        const SHAPES: [(&str, usize, usize); 6] = [
            ("i8x16", 16, 8),
            ("i16x8", 8, 16),
            ("i32x4", 4, 32),
            ("i64x2", 2, 64),
            ("f32x4", 4, 0),
            ("f64x2", 2, 0),
        ];
        let token = self.peek();
        let word = token.span.of(self.text);
        let found = SHAPES.iter().find(|(name, ..)| name.as_bytes() == word);
        let Some(&(_, lanes, bits)) = found else {
            let error = self.unknown_keyword(token, "vector shape", &SHAPES.map(|(name, ..)| name));
            return Err(self.fail(error));
        };
        self.next();
        for _ in 0..lanes {
            match bits {
                0 => self.float_constant(out, 16 / lanes)?,
                _ => self.integer_constant(out, bits as u32)?,
            }
        }
        Ok(())
    }

    /// `(result ...)*` of `select`; with any, it is another instruction.
    fn select_types(&mut self) -> Parse {
        let mut types = Vec::new();
        let mut count = 0;
        let mut typed = false;
        while let Some(_open) = self.take_form(b"result") {
            typed = true;
            while self.take(Kind::Close).is_none() {
                self.value_type(&mut types)?;
                count += 1;
            }
        }
        if typed {
            let code = &mut self.body.code;
            code.pop();
            code.extend_from_slice(Opcode::SelectTyped.row().encoding.bytes);
            leb::unsigned(code, count);
            code.extend_from_slice(&types);
        }
        Ok(())
    }

    fn cast(&mut self, instruction: &Instruction, nullable: Opcode) -> Parse {
        let mut heap = Vec::new();
        let is_nullable = self.cast_type(&mut heap)?;
        let code = &mut self.body.code;
        match is_nullable {
            true => code.extend_from_slice(nullable.row().encoding.bytes),
            false => instruction.write(code),
        }
        code.extend_from_slice(&heap);
        Ok(())
    }

    /// `label from to`
    fn branch_on_cast(&mut self) -> Parse {
        let flags_at = self.body.code.len();
        self.body.code.push(0);
        self.label()?;
        let mut heaps = Vec::new();
        let from = self.cast_type(&mut heaps)?;
        let mut to_heap = Vec::new();
        let to = self.cast_type(&mut to_heap)?;
        let code = &mut self.body.code;
        code[flags_at] = u8::from(from) | u8::from(to) << 1;
        code.extend_from_slice(&heaps);
        code.extend_from_slice(&to_heap);
        Ok(())
    }

    /// `type field`, where the field may be an identifier in the type.
    fn struct_field(&mut self) -> Parse {
        let of = self.index(Space::Type)?;
        leb::unsigned(&mut self.body.code, of);
        let token = self.peek();
        let field = if token.kind == Kind::Id {
            self.next();
            self.check_id(token.span)?;
            let name = name_of(self.text, token.span);
            let fields = self.struct_fields.binary_search_by_key(&of, |(index, _)| *index);
            let fields = fields.ok().map(|at| &self.struct_fields[at].1);
            match fields.and_then(|fields| fields.find(self.text, &name)) {
                Some(field) => field,
                None => {
                    let ids: Vec<Span> = fields.map_or(Vec::new(), |fields| fields.ids().collect());
                    if !self.diagnostics.is_full() {
                        let (ids, earlier) = (ids.iter().copied(), self.diagnostics.list.len());
                        let error =
                            resolve::unknown(self.text, token.span, Space::Field, ids, earlier);
                        self.diagnostics.push(error);
                    }
                    0
                }
            }
        } else {
            self.plain_index(Space::Field)?
        };
        leb::unsigned(&mut self.body.code, field);
        Ok(())
    }
}
