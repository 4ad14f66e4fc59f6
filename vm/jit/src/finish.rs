//! From Cranelift's output to code and side tables.

use brant_engine::compile::{
    CompileError, NativeCall, NativeFunction, NativeTrap, Request, TrapCause,
};
use cranelift_codegen::{CompiledCode, FinalizedMachExceptionHandler};

use crate::Scratch;
use crate::abi::trap_of;
use crate::budget::MAX_CODE_BYTES;
use crate::target::Target;
use crate::translate::FIRST_CALL_LOCATION;

/// Compiles the CLIF in `scratch.context`.
pub fn finish(
    target: &Target, request: &Request<'_>, scratch: &mut Scratch, calls: Vec<NativeCall>,
) -> Result<NativeFunction, CompileError> {
    let compiled = scratch.context.compile(&**target.isa(), &mut scratch.control);
    let code = compiled.map_err(|error| match error.inner {
        cranelift_codegen::CodegenError::ImplLimitExceeded
        | cranelift_codegen::CodegenError::CodeTooLarge => CompileError::TooLarge,
        // The translator is wrong: say all of it where tests can see it.
        other => CompileError::Unsupported(format!(
            "function {} as it was translated: {other:?}",
            request.function
        )),
    })?;
    if !code.buffer.relocs().is_empty() {
        return Err(CompileError::Unsupported("code that calls into the host".to_owned()));
    }
    if code.buffer.data().len() > MAX_CODE_BYTES {
        return Err(CompileError::TooLarge);
    }
    Ok(NativeFunction {
        code: code.buffer.data().to_vec(),
        traps: traps(code),
        calls: placed(code, calls),
    })
}

/// The source location of the byte at `offset`.
fn location(code: &CompiledCode, offset: u32) -> Option<u32> {
    let ranges = code.buffer.get_srclocs_sorted();
    let behind = ranges.partition_point(|range| range.start <= offset);
    let range = ranges.get(behind.checked_sub(1)?)?;
    (offset < range.end && !range.loc.is_default()).then(|| range.loc.bits())
}

fn traps(code: &CompiledCode) -> Vec<NativeTrap> {
    let mut traps: Vec<NativeTrap> = code
        .buffer
        .traps()
        .iter()
        .map(|trap| NativeTrap {
            code_offset: trap.offset,
            cause: trap_of(trap.code).map_or(TrapCause::Entry, TrapCause::Guest),
            body_offset: location(code, trap.offset).unwrap_or(0),
        })
        .collect();
    traps.sort_by_key(|trap| trap.code_offset);
    traps
}

/// The calls that are there, with their return addresses and pads.
fn placed(code: &CompiledCode, calls: Vec<NativeCall>) -> Vec<NativeCall> {
    let mut calls: Vec<Option<NativeCall>> = calls.into_iter().map(Some).collect();
    let mut placed = Vec::with_capacity(calls.len());
    for site in code.buffer.call_sites() {
        let (number, pad) = match site.exception_handlers {
            [FinalizedMachExceptionHandler::Tag(tag, pad)] => (Some(tag.as_u32()), Some(*pad)),
            // The call ends where it returns to, so that its last byte is before that.
            _ => {
                let location = location(code, site.ret_addr - 1);
                (location.and_then(|at| at.checked_sub(FIRST_CALL_LOCATION)), None)
            }
        };
        let call = number.and_then(|number| calls.get_mut(number as usize)?.take());
        debug_assert!(call.is_some(), "every call was noted, once");
        if let Some(call) = call {
            placed.push(NativeCall { code_offset: site.ret_addr, pad_offset: pad, ..call });
        }
    }
    placed.sort_by_key(|call| call.code_offset);
    placed
}
