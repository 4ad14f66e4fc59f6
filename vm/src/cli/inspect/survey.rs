//! Facts about a module, collected in one pass over its bytes.
//!
//! The pass decodes and does not validate: a module that no engine would run can be looked into.
//! It knows nothing of how facts are shown.

use std::collections::BTreeSet;
use std::ops::Range;

use wasmparser::{
    BinaryReaderError, CompositeInnerType, ConstExpr, ExternalKind, FuncType, GlobalType,
    MemoryType, Operator, Parser, Payload, TableType, TypeRef, ValType,
};

/// What one pass over a module finds.
#[derive(Debug, Default)]
pub struct Survey {
    /// Sections in their order.
    pub sections: Vec<Section>,
    /// Imports in their order.
    pub imports: Vec<Import>,
    /// Exports in their order.
    pub exports: Vec<Export>,
    /// Features without which the module is not valid.
    pub features: BTreeSet<&'static str>,
    /// The module's name, if it has one.
    pub name: Option<String>,
    /// Functions with a body.
    pub functions_count: usize,
    /// Tools that made the module, as `producers` lists them.
    pub producers: Vec<(String, String)>,
}

/// One section.
#[derive(Debug)]
pub struct Section {
    /// What the specification calls it; custom sections have their own name.
    pub name: String,
    /// Where its contents stand in the file.
    pub range: Range<u64>,
    /// How many entries it has; custom sections have none.
    pub entries_count: Option<u32>,
}

/// One import.
#[derive(Debug)]
pub struct Import {
    /// The module it is to come from.
    pub module: String,
    /// Its name there.
    pub name: String,
    /// What it must be.
    pub item: Item,
}

/// One export.
#[derive(Debug)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// What it is.
    pub item: Item,
}

/// What is imported or exported.
#[derive(Debug)]
pub struct Item {
    /// `function`, `table`, `memory`, `global` or `tag`.
    pub kind: &'static str,
    /// Its type in the notation of the text format.
    pub text: String,
}

/// Types that exports refer to by index: imports first, then definitions.
#[derive(Default)]
struct Spaces {
    types: Vec<Option<FuncType>>,
    functions: Vec<u32>,
    tables: Vec<TableType>,
    memories: Vec<MemoryType>,
    globals: Vec<GlobalType>,
    tags_count: u32,
}

impl Survey {
    /// Looks at a module.
    pub fn new(bytes: &[u8]) -> Result<Survey, BinaryReaderError> {
        let mut survey = Survey::default();
        let mut spaces = Spaces::default();
        for payload in Parser::new(0).parse_all(bytes) {
            survey.payload(payload?, &mut spaces)?;
        }
        for (many, feature) in [
            (spaces.memories.len() > 1, "multi-memory"),
            (spaces.tables.len() > 1, "reference-types"),
            (spaces.tags_count > 0, "exceptions"),
        ] {
            survey.need_if(many, feature);
        }
        Ok(survey)
    }

    fn payload(
        &mut self, payload: Payload<'_>, spaces: &mut Spaces,
    ) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::TypeSection(reader) => {
                self.section("type", reader.range(), Some(reader.count()));
                for group in reader {
                    let group = group?;
                    self.need_if(group.is_explicit_rec_group(), "gc");
                    group.into_types().for_each(|kind| {
                        let inner = kind.composite_type.inner;
                        spaces.types.push(match inner {
                            CompositeInnerType::Func(signature) => Some(signature),
                            _ => None,
                        });
                    });
                }
                for signature in spaces.types.iter().map(Option::as_ref) {
                    match signature {
                        None => self.need("gc"),
                        Some(signature) => self.signature(signature),
                    }
                }
            }
            Payload::ImportSection(reader) => {
                self.section("import", reader.range(), Some(reader.count()));
                for import in reader.into_imports() {
                    let import = import?;
                    let item = self.import(import.ty, spaces);
                    let (module, name) = (import.module.to_owned(), import.name.to_owned());
                    self.imports.push(Import { module, name, item });
                }
            }
            Payload::FunctionSection(reader) => {
                self.section("function", reader.range(), Some(reader.count()));
                for index in reader {
                    spaces.functions.push(index?);
                    self.functions_count += 1;
                }
            }
            Payload::TableSection(reader) => {
                self.section("table", reader.range(), Some(reader.count()));
                for table in reader {
                    let kind = table?.ty;
                    self.value(ValType::Ref(kind.element_type), Place::Table);
                    spaces.tables.push(kind);
                }
            }
            Payload::MemorySection(reader) => {
                self.section("memory", reader.range(), Some(reader.count()));
                for memory in reader {
                    let memory = memory?;
                    self.memory(memory);
                    spaces.memories.push(memory);
                }
            }
            Payload::TagSection(reader) => {
                self.section("tag", reader.range(), Some(reader.count()));
                spaces.tags_count += reader.count();
            }
            Payload::GlobalSection(reader) => {
                self.section("global", reader.range(), Some(reader.count()));
                for global in reader {
                    let global = global?;
                    self.value(global.ty.content_type, Place::Value);
                    self.constant(&global.init_expr)?;
                    spaces.globals.push(global.ty);
                }
            }
            Payload::ExportSection(reader) => {
                self.section("export", reader.range(), Some(reader.count()));
                for export in reader {
                    let export = export?;
                    let item = self.export(export.kind, export.index, spaces);
                    self.exports.push(Export { name: export.name.to_owned(), item });
                }
            }
            Payload::StartSection { range, .. } => self.section("start", range, Some(1)),
            Payload::ElementSection(reader) => {
                self.section("element", reader.range(), Some(reader.count()));
                for element in reader {
                    match element?.kind {
                        wasmparser::ElementKind::Active { offset_expr, .. } => {
                            self.constant(&offset_expr)?;
                        }
                        _ => self.need("bulk-memory"),
                    }
                }
            }
            Payload::DataCountSection { count, range } => {
                self.section("data count", range, Some(count));
                self.need("bulk-memory");
            }
            Payload::DataSection(reader) => {
                self.section("data", reader.range(), Some(reader.count()));
                for data in reader {
                    match data?.kind {
                        wasmparser::DataKind::Active { offset_expr, .. } => {
                            self.constant(&offset_expr)?;
                        }
                        wasmparser::DataKind::Passive => self.need("bulk-memory"),
                    }
                }
            }
            Payload::CodeSectionStart { count, unchecked_range: range, .. } => {
                self.section("code", range, Some(count));
            }
            Payload::CodeSectionEntry(body) => {
                for local in body.get_locals_reader()? {
                    self.value(local?.1, Place::Value);
                }
                let mut operators = body.get_operators_reader()?;
                while !operators.eof() {
                    let operator = operators.read()?;
                    self.operator(&operator);
                }
            }
            Payload::CustomSection(section) => {
                self.section(&format!("custom {:?}", section.name()), section.range(), None);
                self.custom(&section);
            }
            _ => {}
        }
        Ok(())
    }

    fn section(&mut self, name: &str, range: Range<u64>, entries_count: Option<u32>) {
        self.sections.push(Section { name: name.to_owned(), range, entries_count });
    }

    fn need(&mut self, feature: &'static str) {
        self.features.insert(feature);
    }

    fn need_if(&mut self, condition: bool, feature: &'static str) {
        if condition {
            self.need(feature);
        }
    }

    fn import(&mut self, kind: TypeRef, spaces: &mut Spaces) -> Item {
        match kind {
            TypeRef::Func(index) | TypeRef::FuncExact(index) => {
                spaces.functions.push(index);
                function(index, spaces)
            }
            TypeRef::Table(table) => {
                self.value(ValType::Ref(table.element_type), Place::Table);
                spaces.tables.push(table);
                Item { kind: "table", text: table_text(&table) }
            }
            TypeRef::Memory(memory) => {
                self.memory(memory);
                spaces.memories.push(memory);
                Item { kind: "memory", text: memory_text(&memory) }
            }
            TypeRef::Global(global) => {
                self.value(global.content_type, Place::Value);
                self.need_if(global.mutable, "mutable-globals");
                spaces.globals.push(global);
                Item { kind: "global", text: global_text(&global) }
            }
            TypeRef::Tag(_) => {
                spaces.tags_count += 1;
                Item { kind: "tag", text: String::new() }
            }
        }
    }

    fn export(&mut self, kind: ExternalKind, index: u32, spaces: &Spaces) -> Item {
        // An index out of range belongs to an invalid module, which can be looked into all the
        // same.
        let at = index as usize;
        let missing = || "?".to_owned();
        match kind {
            ExternalKind::Func | ExternalKind::FuncExact => match spaces.functions.get(at) {
                Some(&index) => function(index, spaces),
                None => Item { kind: "function", text: missing() },
            },
            ExternalKind::Table => {
                let text = spaces.tables.get(at).map_or_else(missing, table_text);
                Item { kind: "table", text }
            }
            ExternalKind::Memory => {
                let text = spaces.memories.get(at).map_or_else(missing, memory_text);
                Item { kind: "memory", text }
            }
            ExternalKind::Global => {
                let global = spaces.globals.get(at);
                self.need_if(global.is_some_and(|global| global.mutable), "mutable-globals");
                Item { kind: "global", text: global.map_or_else(missing, global_text) }
            }
            ExternalKind::Tag => Item { kind: "tag", text: String::new() },
        }
    }

    fn signature(&mut self, signature: &FuncType) {
        self.need_if(signature.results().len() > 1, "multi-value");
        for &kind in signature.params().iter().chain(signature.results()) {
            self.value(kind, Place::Value);
        }
    }

    fn value(&mut self, kind: ValType, place: Place) {
        match kind {
            ValType::V128 => self.need("simd"),
            ValType::Ref(reference) if reference.is_func_ref() => {
                self.need_if(place == Place::Value, "reference-types");
            }
            ValType::Ref(reference) if reference.is_extern_ref() => self.need("reference-types"),
            ValType::Ref(_) => self.need("function-references"),
            _ => {}
        }
    }

    fn memory(&mut self, memory: MemoryType) {
        self.need_if(memory.memory64, "memory64");
        self.need_if(memory.shared, "threads");
        self.need_if(memory.page_size_log2.is_some(), "custom-page-sizes");
    }

    /// A constant expression of the first version is one operator.
    fn constant(&mut self, expression: &ConstExpr<'_>) -> Result<(), BinaryReaderError> {
        for operator in expression.get_operators_reader() {
            let operator = operator?;
            let computes = matches!(
                operator,
                Operator::I32Add
                    | Operator::I32Sub
                    | Operator::I32Mul
                    | Operator::I64Add
                    | Operator::I64Sub
                    | Operator::I64Mul
            );
            self.need_if(computes, "extended-const");
            self.operator(&operator);
        }
        Ok(())
    }

    fn operator(&mut self, operator: &Operator<'_>) {
        if let Some(feature) = feature_of(operator) {
            self.need(feature);
        }
        match operator {
            Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } => {
                let by_index = matches!(blockty, wasmparser::BlockType::FuncType(_));
                self.need_if(by_index, "multi-value");
            }
            Operator::CallIndirect { table_index, .. } => {
                self.need_if(*table_index > 0, "reference-types");
            }
            _ => {}
        }
    }

    fn custom(&mut self, section: &wasmparser::CustomSectionReader<'_>) {
        // Custom sections may hold anything: what cannot be read is left out.
        match section.as_known() {
            wasmparser::KnownCustom::Name(reader) => {
                for name in reader.into_iter().flatten() {
                    if let wasmparser::Name::Module { name, .. } = name {
                        self.name = Some(name.to_owned());
                    }
                }
            }
            wasmparser::KnownCustom::Producers(reader) => {
                for field in reader.into_iter().flatten() {
                    for value in field.values.into_iter().flatten() {
                        let tool = format!("{} {}", value.name, value.version);
                        self.producers.push((field.name.to_owned(), tool.trim_end().to_owned()));
                    }
                }
            }
            _ => {}
        }
    }
}

/// Where a value type stands: a table of functions is older than references as values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Table,
    Value,
}

/// Derives which proposal brought an operator from the decoder's own list of operators.
macro_rules! feature_of {
    ($( @$proposal:ident $operator:ident $({ $($name:ident: $kind:ty),* })? => $visit:ident
        ($($shape:tt)*) )*) => {
        fn proposal_of(operator: &Operator<'_>) -> &'static str {
            match operator {
                $( Operator::$operator { .. } => stringify!($proposal), )*
                _ => "unknown",
            }
        }
    };
}
wasmparser::for_each_operator!(feature_of);

/// The feature that an operator needs beyond the first version of the specification.
fn feature_of(operator: &Operator<'_>) -> Option<&'static str> {
    Some(match proposal_of(operator) {
        "mvp" => return None,
        "sign_extension" => "sign-extension",
        "saturating_float_to_int" => "saturating-float-to-int",
        "bulk_memory" => "bulk-memory",
        "reference_types" => "reference-types",
        "simd" => "simd",
        "relaxed_simd" => "relaxed-simd",
        "tail_call" => "tail-call",
        "threads" => "threads",
        "exceptions" | "legacy_exceptions" => "exceptions",
        "function_references" => "function-references",
        "gc" => "gc",
        "wide_arithmetic" => "wide-arithmetic",
        _ => "unknown",
    })
}

fn function(index: u32, spaces: &Spaces) -> Item {
    let text = match spaces.types.get(index as usize) {
        Some(Some(signature)) => signature_text(signature),
        _ => "?".to_owned(),
    };
    Item { kind: "function", text }
}

fn signature_text(signature: &FuncType) -> String {
    let list = |kinds: &[ValType]| {
        let names: Vec<String> = kinds.iter().map(ToString::to_string).collect();
        match names.as_slice() {
            [one] => one.clone(),
            _ => format!("({})", names.join(", ")),
        }
    };
    let params: Vec<String> = signature.params().iter().map(ToString::to_string).collect();
    match signature.results() {
        [] => format!("({})", params.join(", ")),
        results => format!("({}) -> {}", params.join(", "), list(results)),
    }
}

fn table_text(table: &TableType) -> String {
    format!("{} {}", limits_text(table.initial, table.maximum), table.element_type)
}

fn memory_text(memory: &MemoryType) -> String {
    let shared = if memory.shared { " shared" } else { "" };
    format!("{}{shared}", limits_text(memory.initial, memory.maximum))
}

fn global_text(global: &GlobalType) -> String {
    match global.mutable {
        true => format!("(mut {})", global.content_type),
        false => global.content_type.to_string(),
    }
}

fn limits_text(minimum: u64, maximum: Option<u64>) -> String {
    match maximum {
        Some(maximum) => format!("{minimum} {maximum}"),
        None => minimum.to_string(),
    }
}
