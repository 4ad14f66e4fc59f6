//! Chooses how handlers reach each other, and what this host has twins for.
//!
//! A handler ends in a call of the next one. From `opt-level` 2 on LLVM turns that into a jump; below
//! it does not, and a build of an embedder in its dev profile would grow the native stack with each
//! instruction. Such builds get the twin in which handlers return to a loop.
//!
//! `BRANT_HOST=plain` builds as for a host that nothing was written for: without guard pages and
//! without compiled code. That is how the twins for such hosts are tested.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(dispatch, values(\"tail\", \"loop\"))");
    println!("cargo::rustc-check-cfg=cfg(guard_pages)");
    println!("cargo::rustc-check-cfg=cfg(native_code)");
    println!("cargo::rerun-if-env-changed=BRANT_HOST");
    let variable = |name| std::env::var(name).unwrap_or_default();
    let optimised = matches!(variable("OPT_LEVEL").as_str(), "2" | "3" | "s" | "z");
    let arch = variable("CARGO_CFG_TARGET_ARCH");
    let registers = matches!(arch.as_str(), "x86_64" | "aarch64");
    let dispatch = if optimised && registers { "tail" } else { "loop" };
    println!("cargo::rustc-cfg=dispatch=\"{dispatch}\"");
    // Marked accesses and the stubs of compiled code are written for these hosts; all others check
    // each address, and interpret.
    let is_plain = variable("BRANT_HOST") == "plain";
    if registers && variable("CARGO_CFG_TARGET_OS") == "linux" && !is_plain {
        println!("cargo::rustc-cfg=guard_pages");
        println!("cargo::rustc-cfg=native_code");
    }
}
