//! From Cranelift's output to code and side tables.

use brant_engine::compile::{
    CompileError, NativeCall, NativeFunction, NativeTrap, Request, TrapCause,
};
use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::ir::ExternalName;
use cranelift_codegen::{
    CompiledCode, FinalizedMachExceptionHandler, FinalizedMachReloc, FinalizedRelocTarget, MachTrap,
};

use crate::Scratch;
use crate::abi::trap_of;
use crate::accesses::{Accesses, Sorted};
use crate::budget::MAX_CODE_BYTES;
use crate::target::Target;
use crate::translate::{FIRST_CALL_LOCATION, HOST_CALL_LOCATION};

/// Compiles the CLIF in `scratch.context`.
pub fn finish(
    target: &Target, request: &Request<'_>, scratch: &mut Scratch, calls: Vec<NativeCall>,
    accesses: Accesses,
) -> Result<NativeFunction, CompileError> {
    let body_bytes = request.module.body_bytes(request.function).unwrap_or_default().len();
    let isa = target.isa_for(body_bytes);
    let compiled = scratch.context.compile(&**isa, &mut scratch.control);
    let code = compiled.map_err(|error| match error.inner {
        cranelift_codegen::CodegenError::ImplLimitExceeded
        | cranelift_codegen::CodegenError::CodeTooLarge => CompileError::TooLarge,
        // The translator is wrong: say all of it where tests can see it.
        other => CompileError::Unsupported(format!(
            "function {} as it was translated: {other:?}",
            request.function
        )),
    })?;
    let mut bytes = code.buffer.data().to_vec();
    for reloc in code.buffer.relocs() {
        call_start(&mut bytes, reloc)?;
    }
    if code.buffer.data().len() > MAX_CODE_BYTES {
        return Err(CompileError::TooLarge);
    }
    let traps = traps(code, &accesses.sorted());
    for trap in traps.iter().filter(|trap| trap.cause == TrapCause::Entry) {
        trap_quickly(&mut bytes[trap.code_offset as usize..]);
    }
    Ok(NativeFunction { code: bytes, traps, calls: placed(code, calls) })
}

/// Cranelift's trap on x86-64, and what stands in its place where stops come by: it faults as well,
/// but no hypervisor looks at it first, as they do at instructions that do not exist. There this
/// makes an entry's stop seven times as quick.
const UD2: [u8; 2] = [0x0F, 0x0B];
const HLT_NOP: [u8; 2] = [0xF4, 0x90];

fn trap_quickly(at: &mut [u8]) {
    if cfg!(target_arch = "x86_64") && at.starts_with(&UD2) {
        at[..2].copy_from_slice(&HLT_NOP);
    }
}

/// Lets a call go to the start of the code: the only thing outside of it that is ever named is the
/// function itself.
fn call_start(bytes: &mut [u8], reloc: &FinalizedMachReloc) -> Result<(), CompileError> {
    let unknown = || CompileError::Unsupported(format!("code that refers to something: {reloc:?}"));
    let is_own = matches!(reloc.target, FinalizedRelocTarget::ExternalName(ExternalName::User(_)));
    let at = reloc.offset as usize;
    let field = bytes.get_mut(at..at + 4).filter(|_| is_own).ok_or_else(unknown)?;
    // The start is at 0.
    let distance = reloc.addend - i64::from(reloc.offset);
    let word = match reloc.kind {
        Reloc::X86CallPCRel4 => i32::try_from(distance).map_err(|_| unknown())?.to_le_bytes(),
        Reloc::Arm64Call => {
            let mut word = [0; 4];
            word.copy_from_slice(field);
            let target = (distance >> 2) as u32 & 0x03FF_FFFF;
            (u32::from_le_bytes(word) & 0xFC00_0000 | target).to_le_bytes()
        }
        _ => return Err(unknown()),
    };
    field.copy_from_slice(&word);
    Ok(())
}

/// The source location of the byte at `offset`.
fn location(code: &CompiledCode, offset: u32) -> Option<u32> {
    let ranges = code.buffer.get_srclocs_sorted();
    let behind = ranges.partition_point(|range| range.start <= offset);
    let range = ranges.get(behind.checked_sub(1)?)?;
    (offset < range.end && !range.loc.is_default()).then(|| range.loc.bits())
}

fn traps(code: &CompiledCode, accesses: &Sorted) -> Vec<NativeTrap> {
    let native = |trap: &MachTrap| {
        let location = location(code, trap.offset);
        let (cause, body_offset) = match accesses.trap(trap.code, location) {
            Some((cause, operator)) => (Some(cause), operator),
            None => (trap_of(trap.code), location.unwrap_or(0)),
        };
        let cause = cause.map_or(TrapCause::Entry, TrapCause::Guest);
        NativeTrap { code_offset: trap.offset, cause, body_offset }
    };
    let mut traps: Vec<NativeTrap> = code.buffer.traps().iter().map(native).collect();
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
                if location == Some(HOST_CALL_LOCATION) {
                    continue;
                }
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
