//! Validation of function bodies.
//!
//! A body is validated at full speed; only when it is invalid is it gone over again up to the
//! instruction that is wrong, to see what the operand stack was there.

use wasmparser::{
    BinaryReaderError, BlockType, FrameKind, FuncToValidate, FuncValidator,
    FuncValidatorAllocations, FunctionBody, HeapType, ModuleArity, Operator, ValidatorResources,
};

use super::Mistake;
use super::explain::Misfit;
use crate::dis::table::Table;

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
        let function_index = function.index;
        let mut mistake = Mistake::new(error);
        let mut validator = function.into_validator(FuncValidatorAllocations::default());
        let at = run_up_to(&mut validator, body, error.offset());
        if let Some((offset, operator)) = at {
            let operator = operator.as_ref();
            let found = operands(&validator);
            let frame = validator.get_control_frame(0);
            let misfit = Misfit {
                message: error.message(),
                entry: Table::get().at(self.bytes, offset as usize),
                index: operator.and_then(index_of),
                expected: operator.and_then(|operator| expected(&validator, operator)),
                found: &found.types,
                is_unreachable: found.is_unreachable,
                is_end: matches!(operator, Some(Operator::End | Operator::Else)),
                is_if_without_else: frame.is_some_and(|frame| frame.kind == FrameKind::If)
                    && matches!(operator, Some(Operator::End)),
                local_count: validator.len_locals(),
                label_count: validator.control_stack_height(),
                bytes: self.bytes,
            };
            mistake.offset = offset;
            mistake.diagnostic = misfit.explain();
            mistake.diagnostic.operand_stack = Some(found.types);
        }
        mistake.function = Some(function_index);
        mistake
    }
}

/// The index of something of the module or function that an instruction names.
fn index_of(operator: &Operator<'_>) -> Option<u32> {
    Some(match operator {
        Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => *relative_depth,
        Operator::GlobalGet { global_index } | Operator::GlobalSet { global_index } => {
            *global_index
        }
        Operator::CallIndirect { type_index, .. }
        | Operator::ReturnCallIndirect { type_index, .. } => *type_index,
        _ => return None,
    })
}

/// Validates a body up to the instruction that holds `offset`; where that begins, and what it is
/// if it can be read.
fn run_up_to<'a>(
    validator: &mut Running, body: &Body<'a>, offset: u64,
) -> Option<(u64, Option<Operator<'a>>)> {
    validator.read_locals(&mut body.get_binary_reader()).ok()?;
    let mut reader = body.get_operators_reader().ok()?;
    while !reader.eof() {
        let at = reader.original_position();
        let Ok(operator) = reader.read() else { return Some((at, None)) };
        if reader.original_position() > offset {
            return Some((at, Some(operator)));
        }
        validator.op(at, &operator).ok()?;
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

/// Most operands whose types are tried out.
const TRIED_MAX_COUNT: u32 = 16;

/// The types that are tried, each with instructions that push it.
const TRIED: [(&str, &[Operator<'static>]); 7] = {
    const ZERO: Operator<'static> = Operator::I32Const { value: 0 };
    [
        ("i32", &[ZERO]),
        ("i64", &[Operator::I64Const { value: 0 }]),
        ("f32", &[ZERO, Operator::F32ConvertI32S]),
        ("f64", &[ZERO, Operator::F64ConvertI32S]),
        ("v128", &[ZERO, Operator::I32x4Splat]),
        ("funcref", &[Operator::RefNull { hty: HeapType::FUNC }]),
        ("externref", &[Operator::RefNull { hty: HeapType::EXTERN }]),
    ]
};

/// The operands that an instruction takes, the topmost last.
///
/// They are found by trying: behind `unreachable` every missing operand is right, so that one
/// type after the other can be put on top until the validator takes it.
/// So there is no second description of what instructions take.
fn expected(validator: &Running, operator: &Operator<'_>) -> Option<Vec<String>> {
    if matches!(operator, Operator::End | Operator::Else) {
        let frame = validator.get_control_frame(0)?;
        return results(validator, frame.block_type);
    }
    if matches!(operator, Operator::Select) {
        // Its types depend on each other.
        return None;
    }
    let mut arity = validator.clone();
    let (count, _) = operator.operator_arity(&arity.visitor(0))?;
    if count > TRIED_MAX_COUNT {
        return None;
    }
    let mut base = validator.clone();
    base.op(0, &Operator::Unreachable).ok()?;
    // What is known from the top of the stack downwards, as positions in `TRIED`.
    let mut known: Vec<usize> = Vec::new();
    let mut names = Vec::new();
    for _ in 0..count {
        let fits = |candidate: &usize| {
            let mut trial = base.clone();
            let pushed = std::iter::once(candidate).chain(known.iter().rev());
            let mut pushes = pushed.flat_map(|at| TRIED[*at].1);
            pushes.all(|push| trial.op(0, push).is_ok()) && trial.op(0, operator).is_ok()
        };
        let fitting: Vec<usize> = (0..TRIED.len()).filter(fits).collect();
        known.push(*fitting.first()?);
        names.push(match fitting[..] {
            [one] => TRIED[one].0.to_owned(),
            _ => "any".to_owned(),
        });
    }
    names.reverse();
    Some(names)
}

/// What a block must leave.
fn results(validator: &Running, block: BlockType) -> Option<Vec<String>> {
    Some(match block {
        BlockType::Empty => Vec::new(),
        BlockType::Type(result) => vec![result.to_string()],
        BlockType::FuncType(index) => {
            let function = validator.sub_type_at(index)?.unwrap_func();
            function.results().iter().map(ToString::to_string).collect()
        }
    })
}
