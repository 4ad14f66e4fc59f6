//! Reads the directives of a script.

use super::value::{argument, expected};
use super::{Action, Directive, DirectiveKind, Invoke, Module, ModuleSource, Script};
use crate::lexer::{Kind, Token};
use crate::names::name_of;
use crate::parse::{Assembler, Failed, Header, Parse};
use crate::{AssembleOptions, Diagnostics, LineColumn, Span};

const DIRECTIVES: [&str; 16] = [
    "module",
    "register",
    "invoke",
    "assert_return",
    "assert_trap",
    "assert_exhaustion",
    "assert_exception",
    "assert_malformed",
    "assert_invalid",
    "assert_unlinkable",
    "assert_malformed_custom",
    "assert_invalid_custom",
    "thread",
    "wait",
    "get",
    "input",
];

/// Words that begin a field of a module: a script may be those of one module.
const FIELDS: [&[u8]; 12] = [
    b"func", b"type", b"import", b"export", b"global", b"memory", b"table", b"data", b"elem",
    b"start", b"tag", b"rec",
];

/// How deep `(thread ...)` may be nested.
const MAX_THREAD_DEPTH: usize = 16;

/// Parses a whole script.
pub(super) fn script(text: &[u8]) -> Result<Script, Diagnostics> {
    crate::check_encoding(text)?;
    let options = AssembleOptions::default();
    let mut reader = Reader {
        asm: Assembler::new(text, 0, &options, false),
        options: &options,
        last: (0, LineColumn { line: 1, column: 1 }),
    };
    if reader.asm.peek_form().is_some_and(|word| FIELDS.contains(&word)) {
        return Ok(reader.bare_module());
    }
    let directives = reader.directives(0);
    let mut diagnostics = std::mem::take(&mut reader.asm.diagnostics);
    let end = reader.asm.peek();
    if diagnostics.is_empty() && end.kind != Kind::End {
        diagnostics.push(reader.asm.unexpected_token(end, &["a directive in parentheses"]));
    }
    if diagnostics.is_empty() { Ok(Script { directives }) } else { Err(diagnostics) }
}

struct Reader<'a> {
    asm: Assembler<'a>,
    options: &'a AssembleOptions,
    /// The last place that was asked for, with its offset.
    last: (usize, LineColumn),
}

impl<'a> Reader<'a> {
    /// A script that is the fields of one module.
    fn bare_module(&mut self) -> Script {
        let text = self.asm.text;
        let span = Span::new(0, text.len());
        let bytes = crate::assemble(text, self.options);
        let module = Module { span, name: None, source: ModuleSource::Text(bytes) };
        let place = self.place(0);
        Script { directives: vec![Directive { span, place, kind: DirectiveKind::Module(module) }] }
    }

    /// Line and column; offsets must not go down.
    fn place(&mut self, offset: usize) -> LineColumn {
        let (from, place) = self.last;
        let between = &self.asm.text[from.min(offset)..offset];
        let lines = memchr::memchr_iter(b'\n', between).count() as u32;
        let begin = memchr::memrchr(b'\n', between).map_or(0, |at| at + 1);
        let characters = String::from_utf8_lossy(&between[begin..]).chars().count() as u32;
        let column = if lines == 0 { place.column + characters } else { 1 + characters };
        let place = LineColumn { line: place.line + lines, column };
        self.last = (offset, place);
        place
    }

    /// Directives up to something that is none.
    fn directives(&mut self, depth: usize) -> Vec<Directive> {
        let mut directives = Vec::new();
        while let Some(open) = self.asm.take(Kind::Open) {
            let place = self.place(open.start as usize);
            let start = self.asm.lex.at;
            match self.directive(open, depth) {
                Ok(kind) => {
                    let span = Span::new(open.start as usize, self.asm.lex.at);
                    directives.push(Directive { span, place, kind });
                }
                Err(Failed) => {
                    // On with the next directive.
                    self.asm.lex.at = start;
                    if self.asm.lex.skip_form().is_none() {
                        self.asm.lex.at = self.asm.text.len();
                    }
                }
            }
        }
        directives
    }

    /// A directive behind its parenthesis, with the one that closes it.
    fn directive(&mut self, open: Span, depth: usize) -> Parse<DirectiveKind> {
        let keyword = self.asm.next();
        let kind = match keyword.span.of(self.asm.text) {
            b"module" => return self.module_directive(open),
            b"register" => {
                let name = self.text("the name for imports in quotes")?;
                DirectiveKind::Register { name, module: self.id()? }
            }
            b"invoke" => return Ok(DirectiveKind::Invoke(self.invoke(open)?)),
            b"assert_return" => {
                let action = self.action()?;
                let mut results = Vec::new();
                while let Some(open) = self.asm.take(Kind::Open) {
                    results.push(expected(&mut self.asm, open, 0)?);
                }
                DirectiveKind::AssertReturn { action, results }
            }
            b"assert_trap" => {
                DirectiveKind::AssertTrap { action: self.action()?, message: self.message()? }
            }
            b"assert_exhaustion" => {
                DirectiveKind::AssertExhaustion { action: self.action()?, message: self.message()? }
            }
            b"assert_exception" => DirectiveKind::AssertException { action: self.action()? },
            b"assert_malformed" => {
                DirectiveKind::AssertMalformed { module: self.module()?, message: self.message()? }
            }
            b"assert_invalid" => {
                DirectiveKind::AssertInvalid { module: self.module()?, message: self.message()? }
            }
            b"assert_unlinkable" => {
                DirectiveKind::AssertUnlinkable { module: self.module()?, message: self.message()? }
            }
            b"assert_malformed_custom" => DirectiveKind::AssertMalformedCustom {
                module: self.module()?,
                message: self.message()?,
            },
            b"assert_invalid_custom" => DirectiveKind::AssertInvalidCustom {
                module: self.module()?,
                message: self.message()?,
            },
            b"thread" if depth < MAX_THREAD_DEPTH => self.thread(depth)?,
            b"wait" => DirectiveKind::Wait { thread: self.wanted_id("a thread")? },
            _ => {
                let error = self.asm.unknown_keyword(keyword, "directive", &DIRECTIVES[..14]);
                return Err(self.asm.fail(error));
            }
        };
        self.asm.close(open, &[])?;
        Ok(kind)
    }

    /// `(thread $name (shared (module $m))? directive*)`
    fn thread(&mut self, depth: usize) -> Parse<DirectiveKind> {
        let name = self.wanted_id("the thread")?;
        let mut shared_module = None;
        if let Some(open) = self.asm.take_form(b"shared") {
            if let Some(inner) = self.asm.take_form(b"module") {
                shared_module = Some(self.wanted_id("a module")?);
                self.asm.close(inner, &[])?;
            }
            self.asm.close(open, &["`(module ...)`"])?;
        }
        let directives = self.directives(depth + 1);
        Ok(DirectiveKind::Thread { name, shared_module, directives })
    }

    fn module_directive(&mut self, open: Span) -> Parse<DirectiveKind> {
        if self.asm.take_keyword(b"instance") {
            let instance = self.id()?;
            let module = self.id()?;
            self.asm.close(open, &[])?;
            return Ok(DirectiveKind::ModuleInstance { instance, module });
        }
        if self.asm.take_keyword(b"definition") {
            return Ok(DirectiveKind::ModuleDefinition(self.module_behind(open)?));
        }
        Ok(DirectiveKind::Module(self.module_behind(open)?))
    }

    /// `(module ...)`
    fn module(&mut self) -> Parse<Module> {
        match self.asm.take_form(b"module") {
            Some(open) => self.module_behind(open),
            None => {
                let token = self.asm.peek();
                Err(self.asm.unexpected(token, &["`(module ...)`"]))
            }
        }
    }

    /// A module behind its keyword, with the parenthesis that closes it.
    fn module_behind(&mut self, open: Span) -> Parse<Module> {
        let mut header = self.asm.header()?;
        if self.asm.take_keyword(b"definition") && header.id.is_none() {
            header = self.asm.header()?;
        }
        let name = header.id.map(|id| self.name_of(id));
        let binary = self.asm.take_keyword(b"binary");
        if binary || self.asm.take_keyword(b"quote") {
            let mut bytes = Vec::new();
            while let Some(string) = self.asm.take(Kind::String) {
                bytes.extend_from_slice(&self.asm.string_bytes(string)?);
                if !binary {
                    bytes.push(b' ');
                }
            }
            self.asm.close(open, &["a string"])?;
            let span = Span::new(open.start as usize, self.asm.lex.at);
            let source =
                if binary { ModuleSource::Binary(bytes) } else { ModuleSource::Quote(bytes) };
            return Ok(Module { span, name, source });
        }
        let source = self.text_module(open, header);
        let span = Span::new(open.start as usize, self.asm.lex.at);
        Ok(Module { span, name, source })
    }

    /// The fields of a module in the script.
    fn text_module(&mut self, open: Span, header: Header) -> ModuleSource {
        let inner = Assembler::new(self.asm.text, self.asm.lex.at, self.options, false);
        let (bytes, end) = inner.fields(open, header);
        self.asm.lex.at = end;
        ModuleSource::Text(bytes)
    }

    /// `(invoke ...)`, `(get ...)` or `(module ...)`
    fn action(&mut self) -> Parse<Action> {
        let open = self.asm.peek();
        match self.asm.peek_form() {
            Some(b"invoke") => {
                self.enter();
                Ok(Action::Invoke(self.invoke(open.span)?))
            }
            Some(b"get") => {
                self.enter();
                let module = self.id()?;
                let global = self.text("the name of a global in quotes")?;
                self.asm.close(open.span, &[])?;
                Ok(Action::Get { module, global })
            }
            Some(b"module") => Ok(Action::Module(self.module()?)),
            _ => Err(self.asm.unexpected(open, &["`(invoke ...)`", "`(get ...)`"])),
        }
    }

    /// Takes a parenthesis and a keyword that were looked at.
    fn enter(&mut self) -> Token {
        self.asm.next();
        self.asm.next()
    }

    /// A call behind its keyword, with the parenthesis that closes it.
    fn invoke(&mut self, open: Span) -> Parse<Invoke> {
        let module = self.id()?;
        let function = self.text("the name of a function in quotes")?;
        let mut arguments = Vec::new();
        while let Some(open) = self.asm.take(Kind::Open) {
            arguments.push(argument(&mut self.asm, open)?);
        }
        self.asm.close(open, &["an argument"])?;
        Ok(Invoke { module, function, arguments })
    }

    fn message(&mut self) -> Parse<String> {
        self.text("a message in quotes")
    }

    fn text(&mut self, what: &str) -> Parse<String> {
        let bytes = self.asm.name_string(what)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn id(&mut self) -> Parse<Option<String>> {
        Ok(self.asm.take_id()?.map(|id| self.name_of(id)))
    }

    fn wanted_id(&mut self, of: &str) -> Parse<String> {
        match self.id()? {
            Some(name) => Ok(name),
            None => {
                let token = self.asm.peek();
                Err(self.asm.unexpected(token, &[&format!("the identifier of {of}")]))
            }
        }
    }

    fn name_of(&self, id: Span) -> String {
        String::from_utf8_lossy(&name_of(self.asm.text, id)).into_owned()
    }
}
