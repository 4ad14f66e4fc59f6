//! Validation of function bodies.
//!
//! A body is validated at full speed; only when it is invalid is it gone over again up to the
//! instruction that is wrong, to see what the operand stack was there.

use wasmparser::{
    BinaryReaderError, BlockType, FrameKind, FuncToValidate, FuncType, FuncValidator,
    FuncValidatorAllocations, FunctionBody, ModuleArity, Operator, ValType, ValidatorResources,
    WasmModuleResources,
};

use super::Mistake;
use super::explain::{self, Misfit};

type Body<'a> = FunctionBody<'a>;
type Function = FuncToValidate<ValidatorResources>;
type Running = FuncValidator<ValidatorResources>;

/// Validates functions one after another, reusing memory.
pub(super) struct Functions<'a> {
    bytes: &'a [u8],
    memory: Option<FuncValidatorAllocations>,
}

impl<'a> Functions<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, memory: None }
    }

    /// Validates one function and reports the first mistake in it: what follows one cannot be
    /// judged, because its results are unknown.
    pub fn validate(
        &mut self, function: Function, body: &Body<'_>, report: &mut dyn FnMut(Mistake),
    ) {
        let again = FuncToValidate {
            resources: function.resources.clone(),
            index: function.index,
            ty: function.ty,
            features: function.features,
        };
        let mut validator = function.into_validator(self.memory.take().unwrap_or_default());
        if let Err(error) = validator.validate(body) {
            report(self.explain(again, body, &error));
        }
        self.memory = Some(validator.into_allocations());
    }

    /// Goes over the body again up to the mistake.
    fn explain(&self, function: Function, body: &Body<'_>, error: &BinaryReaderError) -> Mistake {
        let index = function.index;
        let mut mistake = Mistake::new(error);
        let mut validator = function.into_validator(FuncValidatorAllocations::default());
        if let Some(operator) = run_up_to(&mut validator, body, error.offset()) {
            let found = operands(&validator);
            let name = explain::instruction(self.bytes, error.offset() as usize);
            let misfit = Misfit {
                message: error.message(),
                name: name.as_deref(),
                expected: expected(&validator, &operator),
                found: &found.types,
                is_unreachable: found.is_unreachable,
                is_end: matches!(operator, Operator::End | Operator::Else),
                local_count: validator.len_locals(),
                label_count: validator.control_stack_height(),
            };
            mistake.diagnostic = misfit.explain();
            mistake.diagnostic.operand_stack = Some(found.types);
        }
        let note = match explain::function_name(self.bytes, index) {
            Some(name) => format!("in function {index}, `{name}`"),
            None => format!("in function {index}"),
        };
        mistake.diagnostic.notes.push(note);
        mistake
    }
}

/// Validates a body as long as instructions begin before `offset`; the one that begins there.
fn run_up_to<'a>(validator: &mut Running, body: &Body<'a>, offset: u64) -> Option<Operator<'a>> {
    let mut reader = body.get_binary_reader();
    validator.read_locals(&mut reader).ok()?;
    reader.set_features(*validator.features());
    while !reader.eof() {
        let at = reader.original_position();
        if at >= offset {
            return reader.peek_operator(&validator.visitor(at)).ok();
        }
        reader.visit_operator(&mut validator.visitor(at)).ok()?.ok()?;
    }
    None
}

/// The operands of the innermost block.
struct Operands {
    /// The topmost last.
    types: Vec<String>,
    /// Whether there are as many more as an instruction wants, because it is never reached.
    is_unreachable: bool,
}

/// Most operands that are looked at.
const OPERANDS_MAX_COUNT: usize = 1000;

fn operands(validator: &Running) -> Operands {
    let frame = validator.get_control_frame(0);
    let height = frame.map_or(0, |frame| frame.height);
    let count = (validator.operand_stack_height() as usize).saturating_sub(height);
    let types = (0..count.min(OPERANDS_MAX_COUNT)).rev().map(|depth| {
        match validator.get_operand_type(depth) {
            Some(Some(operand)) => operand.to_string(),
            _ => "any".to_owned(),
        }
    });
    Operands { types: types.collect(), is_unreachable: frame.is_some_and(|f| f.unreachable) }
}

/// The operands that an instruction takes, where its immediates decide that.
fn expected(validator: &Running, operator: &Operator<'_>) -> Option<Vec<String>> {
    let resources = validator.resources();
    let names = |types: &[ValType]| types.iter().map(ToString::to_string).collect::<Vec<_>>();
    let function =
        |index: u32| -> Option<&FuncType> { Some(validator.sub_type_at(index)?.unwrap_func()) };
    let and_i32 = |mut types: Vec<String>| {
        types.push("i32".into());
        types
    };
    Some(match operator {
        Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
            names(function(resources.type_index_of_function(*function_index)?)?.params())
        }
        Operator::CallIndirect { type_index, .. }
        | Operator::ReturnCallIndirect { type_index, .. } => {
            and_i32(names(function(*type_index)?.params()))
        }
        Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
            vec![validator.get_local_type(*local_index)?.to_string()]
        }
        Operator::GlobalSet { global_index } => {
            vec![resources.global_at(*global_index)?.content_type.to_string()]
        }
        Operator::Block { blockty } | Operator::Loop { blockty } => {
            names(&block_types(validator, *blockty, Side::Params)?)
        }
        Operator::If { blockty } => {
            and_i32(names(&block_types(validator, *blockty, Side::Params)?))
        }
        Operator::End | Operator::Else => {
            let frame = validator.get_control_frame(0)?;
            names(&block_types(validator, frame.block_type, Side::Results)?)
        }
        Operator::Return => {
            let outermost = validator.control_stack_height().checked_sub(1)?;
            let frame = validator.get_control_frame(outermost as usize)?;
            names(&block_types(validator, frame.block_type, Side::Results)?)
        }
        Operator::Br { relative_depth } => names(&label_types(validator, *relative_depth)?),
        Operator::BrIf { relative_depth } => {
            and_i32(names(&label_types(validator, *relative_depth)?))
        }
        Operator::BrTable { targets } => {
            and_i32(names(&label_types(validator, targets.default())?))
        }
        _ => return None,
    })
}

/// What a branch to a label takes with it.
fn label_types(validator: &Running, depth: u32) -> Option<Vec<ValType>> {
    let frame = validator.get_control_frame(depth as usize)?;
    let side = if frame.kind == FrameKind::Loop { Side::Params } else { Side::Results };
    block_types(validator, frame.block_type, side)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Params,
    Results,
}

fn block_types(validator: &Running, block: BlockType, side: Side) -> Option<Vec<ValType>> {
    Some(match (block, side) {
        (BlockType::Empty, _) | (BlockType::Type(_), Side::Params) => Vec::new(),
        (BlockType::Type(result), Side::Results) => vec![result],
        (BlockType::FuncType(index), _) => {
            let function = validator.sub_type_at(index)?.unwrap_func();
            match side {
                Side::Params => function.params().to_vec(),
                Side::Results => function.results().to_vec(),
            }
        }
    })
}
