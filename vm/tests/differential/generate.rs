//! Valid modules from bytes, with what brant and wasmi both have.

use wasm_smith::{Config, Module};

use super::values::Numbers;

/// Makes a module. Bytes that are used up make it end early; too few make none.
pub fn module(data: &[u8]) -> Option<Vec<u8>> {
    let mut source = arbitrary::Unstructured::new(data);
    let mut config: Config = source.arbitrary().ok()?;
    limit(&mut config, &mut source).ok()?;
    Some(Module::new(config, &mut source).ok()?.to_bytes())
}

/// Leaves out what one of the two has not, or what two engines may answer differently.
fn limit(config: &mut Config, source: &mut arbitrary::Unstructured<'_>) -> arbitrary::Result<()> {
    // Wasmi 2.0.0 traps in some modules that are made so that they cannot: their code saves locals
    // that are on the operand stack all the time. Wasmtime sides with brant on them.
    config.disallow_traps = false;
    config.exceptions_enabled = false;
    config.gc_enabled = false;
    config.compact_imports_enabled = false;
    config.custom_descriptors_enabled = false;
    config.custom_page_sizes_enabled = false;
    config.memory64_enabled = false;
    config.relaxed_simd_enabled = false;
    config.shared_everything_threads_enabled = false;
    config.threads_enabled = false;
    config.wide_arithmetic_enabled = false;
    config.acquire_release_atomics_enabled = false;
    config.multibyte_array_access_enabled = false;
    // The bits of a NaN are an engine's choice, so that there are none, or they are made equal.
    config.canonicalize_nans = config.allow_floats;
    // Everything can be looked at, and something is there to be called.
    config.export_everything = true;
    config.min_funcs = 1;
    config.max_funcs = config.max_funcs.clamp(1, 40);
    config.max_imports = config.max_imports.min(20);
    config.max_globals = config.max_globals.min(30);
    config.max_types = config.max_types.clamp(4, 60);
    // How far memories and tables grow must not depend on an engine's limits.
    config.max_memories = config.max_memories.min(3);
    config.max_memory32_bytes = source.int_in_range(0..=32u64)? * 0x1_0000;
    config.memory_max_size_required = true;
    config.max_tables = config.max_tables.min(4);
    config.max_table_elements = config.max_table_elements.min(500);
    config.table_max_size_required = true;
    Ok(())
}

/// The bytes that stand for a number: more for some numbers than for others.
pub fn data(number: u64) -> Vec<u8> {
    let mut numbers = Numbers::new(number);
    let length = 200 + numbers.next() % (1 << (8 + numbers.next() % 7));
    (0..length.div_ceil(8)).flat_map(|_| numbers.next().to_le_bytes()).collect()
}
