//! Listings: a function as CLIF, and as machine code.

use brant_engine::compile::{CompileError, Request};

use crate::{Jit, SCRATCH, finish, translate};

/// The CLIF of a function, before Cranelift works on it.
///
/// # Errors
/// There is no code for it.
pub fn clif(jit: &Jit, request: &Request<'_>) -> Result<String, CompileError> {
    SCRATCH.with_borrow_mut(|scratch| {
        translate::translate(&jit.target, request, scratch)?;
        Ok(scratch.context.func.display().to_string())
    })
}

/// The machine code of a function as text, by Cranelift's own names.
///
/// # Errors
/// There is no code for it.
pub fn native(jit: &Jit, request: &Request<'_>) -> Result<String, CompileError> {
    SCRATCH.with_borrow_mut(|scratch| {
        let (calls, accesses) = translate::translate(&jit.target, request, scratch)?;
        scratch.context.set_disasm(true);
        let made = finish::finish(&jit.target, request, scratch, calls, accesses);
        scratch.context.set_disasm(false);
        made?;
        let code = scratch.context.compiled_code();
        Ok(code.and_then(|code| code.vcode.clone()).unwrap_or_default())
    })
}
