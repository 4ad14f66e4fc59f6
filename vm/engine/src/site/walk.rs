//! The walk that numbers sites. It drives the validator, which knows all types.

use wasmparser::{
    BinaryReader, FuncToValidate, FuncValidator, FuncValidatorAllocations, Operator,
    OperatorsReader, ValidatorResources,
};

use super::live::{Event, Events, Opened};
use super::{NoSites, Shape, Site, SiteId, SiteKind, Sites};
use crate::module::{Module, ModuleInner};
use crate::types::ValType;

/// See [`Sites::of`].
pub fn sites(module: &Module, function: u32) -> Result<Sites, NoSites> {
    let mut nobody = |_, _: Operands<'_>| {};
    let mut walk = Walk::new(module.inner(), function, &mut nobody)?;
    while walk.step()? {}
    let locals = walk.locals();
    let live = walk.events.liveness(locals.len(), walk.list.len());
    Ok(Sites { list: walk.list, locals, live })
}

/// See [`Shape::of`].
pub fn shape(module: &Module, function: u32, site: SiteId) -> Result<Shape, NoSites> {
    let mut found = None;
    let mut see = |id, operands: Operands<'_>| {
        if id == site {
            found = Some(operands.iter().collect());
        }
    };
    let mut walk = Walk::new(module.inner(), function, &mut see)?;
    while walk.list.len() <= site.0 as usize && walk.step()? {}
    let locals = walk.locals();
    Ok(Shape { locals, operands: found.ok_or(NoSites)? })
}

/// See [`Sites::each`].
pub fn each(
    module: &Module, function: u32, see: &mut dyn FnMut(SiteId, Operands<'_>),
) -> Result<(), NoSites> {
    let mut walk = Walk::new(module.inner(), function, see)?;
    while walk.step()? {}
    Ok(())
}

/// The operands at a site.
#[derive(Clone, Copy)]
pub struct Operands<'a> {
    validator: &'a FuncValidator<ValidatorResources>,
    /// So many at the top are not there any more.
    gone: usize,
}

impl Operands<'_> {
    /// Their types, deepest first.
    pub fn iter(&self) -> impl Iterator<Item = ValType> + '_ {
        let height = self.validator.operand_stack_height() as usize;
        let depths = (self.gone..height).rev();
        let types = depths.map(|depth| self.validator.get_operand_type(depth).flatten());
        types.filter_map(|ty| operand_type(ty?))
    }
}

struct Walk<'a> {
    module: &'a ModuleInner,
    /// Where the body begins in the module.
    start: u64,
    reader: OperatorsReader<'a>,
    validator: FuncValidator<ValidatorResources>,
    list: Vec<Site>,
    events: Events,
    /// What the open blocks are, for their `end`.
    opened: Vec<Opened>,
    loop_count: u32,
    /// The height of the control stack at which code became unreachable.
    dead_at: Option<u32>,
    /// Who looks at each site.
    see: &'a mut dyn FnMut(SiteId, Operands<'_>),
}

impl<'a> Walk<'a> {
    fn new(
        module: &'a ModuleInner, function: u32, see: &'a mut dyn FnMut(SiteId, Operands<'_>),
    ) -> Result<Self, NoSites> {
        let span = module.body_span(function).ok_or(NoSites)?;
        let features = module.engine.config().features;
        let resources = module.resources().ok_or(NoSites)?;
        let ty = module.functions[function as usize];
        let index = function;
        let mut validator = FuncToValidate { resources, index, ty, features }
            .into_validator(FuncValidatorAllocations::default());
        let start = u64::from(span.start);
        let mut reader = BinaryReader::new_features(module.bytes.at(span), start, features);
        validator.read_locals(&mut reader).map_err(|_| NoSites)?;
        let mut walk = Self {
            module,
            start,
            reader: OperatorsReader::new(reader),
            validator,
            list: Vec::new(),
            events: Events::default(),
            opened: Vec::new(),
            loop_count: 0,
            dead_at: None,
            see,
        };
        walk.site(SiteKind::Entry, 0, 0);
        Ok(walk)
    }

    /// Types of all locals. The validator keeps them by run lengths.
    fn locals(&self) -> Vec<ValType> {
        let types = (0..self.validator.len_locals()).map(|i| self.validator.get_local_type(i));
        types.filter_map(|ty| ValType::from_parsed(ty?)).collect()
    }

    /// Takes one operator; false at the end of the body.
    fn step(&mut self) -> Result<bool, NoSites> {
        if self.reader.eof() {
            return Ok(false);
        }
        let position = self.reader.original_position();
        let operator = self.reader.read().map_err(|_| NoSites)?;
        let offset = (position - self.start) as u32;
        let height = self.validator.control_stack_height();
        let ends_dead_code = matches!(operator, Operator::End | Operator::Else);
        if ends_dead_code && self.dead_at == Some(height) {
            self.dead_at = None;
        }
        let is_live = self.dead_at.is_none();
        if is_live {
            self.before(&operator, offset);
        }
        self.validator.op(position, &operator).map_err(|_| NoSites)?;
        if is_live {
            self.behind(&operator, offset);
            let frame = self.validator.get_control_frame(0);
            if frame.is_some_and(|frame| frame.unreachable) {
                self.dead_at = Some(self.validator.control_stack_height());
            }
        }
        Ok(true)
    }

    /// Sites in front of an operator, and what it does to locals and control.
    fn before(&mut self, operator: &Operator<'_>, offset: u32) {
        let event = match *operator {
            Operator::LocalGet { local_index } => Event::Get(local_index),
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                Event::Set(local_index)
            }
            Operator::Br { relative_depth } => Event::Br(relative_depth),
            Operator::BrIf { relative_depth } => Event::BrIf(relative_depth),
            Operator::BrTable { ref targets } => {
                let depths = targets.targets().flatten().chain([targets.default()]);
                return self.events.branch_table(depths);
            }
            Operator::Return | Operator::Unreachable => Event::Leave,
            Operator::Call { function_index } => {
                let ty = self.module.functions[function_index as usize];
                return self.call(offset, ty, 0, true);
            }
            Operator::CallIndirect { type_index, .. } => {
                return self.call(offset, type_index, 1, true);
            }
            Operator::ReturnCall { function_index } => {
                let ty = self.module.functions[function_index as usize];
                return self.call(offset, ty, 0, false);
            }
            Operator::ReturnCallIndirect { type_index, .. } => {
                return self.call(offset, type_index, 1, false);
            }
            Operator::MemoryGrow { .. }
            | Operator::MemoryInit { .. }
            | Operator::MemoryCopy { .. }
            | Operator::MemoryFill { .. }
            | Operator::DataDrop { .. }
            | Operator::TableInit { .. }
            | Operator::TableCopy { .. }
            | Operator::TableGrow { .. }
            | Operator::TableFill { .. }
            | Operator::ElemDrop { .. }
            | Operator::MemoryAtomicNotify { .. }
            | Operator::MemoryAtomicWait32 { .. }
            | Operator::MemoryAtomicWait64 { .. } => {
                return self.site(SiteKind::Operation, offset, 0);
            }
            _ => return,
        };
        self.events.push(event);
    }

    /// A call; `extra` operands lie above its arguments.
    fn call(&mut self, offset: u32, type_index: u32, extra: usize, returns: bool) {
        let params = self.module.types[type_index as usize].params().len();
        self.site(SiteKind::Call, offset, 0);
        if returns {
            self.site(SiteKind::Return, offset, params + extra);
        } else {
            self.events.push(Event::Leave);
        }
    }

    /// Blocks that begin and end, and the sites behind that.
    fn behind(&mut self, operator: &Operator<'_>, offset: u32) {
        match *operator {
            Operator::Block { .. } => self.open(Opened::Block),
            Operator::Loop { .. } => {
                self.open(Opened::Loop(self.loop_count));
                self.loop_count += 1;
                self.site(SiteKind::Loop, offset, 0);
            }
            Operator::If { .. } => {
                self.open(Opened::If);
                self.site(SiteKind::Block, offset, 0);
            }
            Operator::Else => {
                self.events.push(Event::Else);
                self.site(SiteKind::Block, offset, 0);
            }
            Operator::End => {
                // The last `end` closes the function, which nothing has opened.
                if let Some(opened) = self.opened.pop() {
                    self.events.push(Event::End(opened));
                    self.site(SiteKind::Block, offset, 0);
                }
            }
            Operator::BrIf { .. } => self.site(SiteKind::Block, offset, 0),
            _ => {}
        }
    }

    fn open(&mut self, opened: Opened) {
        self.opened.push(opened);
        self.events.push(Event::Open(opened));
    }

    /// Numbers a site, at which the top `gone` operands are not there any more.
    fn site(&mut self, kind: SiteKind, offset: u32, gone: usize) {
        let id = self.list.len() as u32;
        self.list.push(Site { kind, offset });
        // Blocks keep everything: code that counts fuel is slow, and a set for each would be large.
        if kind != SiteKind::Block {
            self.events.push(Event::Site(id));
        }
        (self.see)(SiteId(id), Operands { validator: &self.validator, gone });
    }
}

/// The type of an operand. The validator knows more of a reference than its table does: what
/// `ref.func` gives is of the function's own type, and not null.
fn operand_type(ty: wasmparser::ValType) -> Option<ValType> {
    use wasmparser::{AbstractHeapType, HeapType};
    let wasmparser::ValType::Ref(reference) = ty else { return ValType::from_parsed(ty) };
    match reference.heap_type() {
        HeapType::Abstract {
            ty: AbstractHeapType::Extern | AbstractHeapType::NoExtern, ..
        } => Some(ValType::ExternRef),
        HeapType::Abstract { ty: AbstractHeapType::Func | AbstractHeapType::NoFunc, .. } => {
            Some(ValType::FuncRef)
        }
        HeapType::Abstract { .. } => None,
        HeapType::Concrete(_) | HeapType::Exact(_) => Some(ValType::FuncRef),
    }
}
