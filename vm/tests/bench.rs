//! `brant bench` for programs that read its report.
#![cfg(feature = "jit")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn bench(args: &[&str], input: Option<&Path>) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let input = match input {
        None => Stdio::null(),
        Some(path) => std::fs::File::open(path).expect("the input").into(),
    };
    Command::new(env!("CARGO_BIN_EXE_brant"))
        .args(["bench", "--format", "json"])
        .args(args)
        .current_dir(root)
        .stdin(input)
        .output()
        .expect("brant starts")
}

fn report(args: &[&str], input: Option<&Path>) -> Value {
    let output = bench(args, input);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON value")
}

const FIGURES: [&str; 8] = [
    "wall_ns",
    "cpu_ns",
    "first_output_ns",
    "ready_ns",
    "peak_bytes",
    "compile_ns",
    "compilations",
    "code_bytes",
];

fn median(report: &Value, tier: &str, figure: &str) -> u64 {
    let tiers = report["tiers"].as_array().expect("tiers");
    let tier = tiers.iter().find(|one| one["tier"] == tier).expect("the tier");
    tier[figure]["median"].as_u64().expect("a figure")
}

#[test]
fn every_figure_has_a_median_between_its_extremes_and_a_value_for_each_run() {
    let report = report(&["--runs", "3", "programs/hello.wat"], None);
    assert_eq!(report["file"], "programs/hello.wat");
    assert_eq!((&report["runs"], &report["output_repeats"]), (&3.into(), &true.into()));
    assert!(report["time_to_peak_ns"].is_u64() || report["time_to_peak_ns"].is_null());
    let tiers = report["tiers"].as_array().expect("tiers");
    let names: Vec<_> = tiers.iter().map(|tier| tier["tier"].as_str()).collect();
    assert_eq!(names, [Some("interp"), Some("jit"), Some("auto")]);
    for tier in tiers {
        let samples = tier["samples"].as_array().expect("samples");
        assert_eq!(samples.len(), 3);
        for name in FIGURES {
            let figure = |part: &str| tier[name][part].as_u64().expect("a number");
            let (least, middle, most) = (figure("min"), figure("median"), figure("max"));
            assert!(least <= middle && middle <= most, "{name} {tier}");
            let values = samples.iter().map(|sample| sample[name].as_u64().expect("a number"));
            assert_eq!(values.clone().min(), Some(least), "{name}");
            assert_eq!(values.max(), Some(most), "{name}");
        }
        assert!(tier["first_output_ns"]["min"].as_u64() <= tier["wall_ns"]["max"].as_u64());
    }
}

#[test]
fn the_compiler_works_ahead_in_one_tier_and_not_at_all_in_another() {
    let report = report(&["--runs", "1", "programs/bin/nbody.wasm", "100"], None);
    for figure in ["compile_ns", "compilations", "code_bytes"] {
        assert_eq!(median(&report, "interp", figure), 0, "{figure}");
        assert!(median(&report, "jit", figure) > 0, "{figure}");
    }
    // Nothing runs before everything is compiled; machine code takes memory.
    assert!(median(&report, "jit", "ready_ns") > median(&report, "interp", "ready_ns"));
    assert!(median(&report, "jit", "peak_bytes") > median(&report, "interp", "peak_bytes"));
}

#[test]
fn each_run_reads_the_whole_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let input = folder.path().join("input");
    std::fs::write(&input, "1 + 2\n7 * 8\n").expect("the input");
    let report = report(&["--runs", "2", "programs/bin/calc.wasm"], Some(&input));
    // A run without input would print nothing.
    assert_eq!(report["output_repeats"], true);
    for tier in report["tiers"].as_array().expect("tiers") {
        for sample in tier["samples"].as_array().expect("samples") {
            assert!(sample["first_output_ns"].is_u64(), "{sample}");
        }
    }
}

#[test]
fn a_program_that_prints_nothing_has_no_first_output() {
    let folder = tempfile::tempdir().expect("a folder");
    let silent = folder.path().join("silent.wat");
    std::fs::write(&silent, r#"(module (func (export "_start")))"#).expect("the program");
    let report = report(&["--runs", "1", silent.to_str().expect("a name")], None);
    for tier in report["tiers"].as_array().expect("tiers") {
        assert!(tier["first_output_ns"].is_null(), "{tier}");
        assert!(tier["samples"][0]["first_output_ns"].is_null(), "{tier}");
    }
}

#[test]
fn functions_of_libraries_are_measured_like_programs() {
    let report =
        report(&["--runs", "1", "--invoke", "add", "vm/tests/cli/files/add.wat", "1", "2"], None);
    assert_eq!(report["file"], "vm/tests/cli/files/add.wat");
}

#[test]
fn a_program_that_fails_leaves_no_report_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_brant"))
        .args(["bench", "--format", "json", "--runs", "1"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/files/exit7.wat"))
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .output()
        .expect("brant starts");
    assert_eq!(output.status.code(), Some(7));
    assert!(output.stdout.is_empty());
    let left = std::fs::read_dir(folder.path()).expect("the folder");
    let left = left.map(|entry| entry.expect("an entry").file_name().into_string());
    let left: Vec<_> = left.flatten().filter(|name| name.contains("bench")).collect();
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn thread_policies_are_compared_in_each_construction_and_mix() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plot = folder.path().join("threads.svg");
    let output = Command::new(env!("CARGO_BIN_EXE_brant"))
        .args(["bench", "threads", "--format", "json", "--runs", "1", "--requests", "32"])
        .arg("--plot")
        .arg(&plot)
        .output()
        .expect("brant starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON value");
    assert_eq!((&report["clients"], &report["requests"]), (&32.into(), &32.into()));
    let rows = report["rows"].as_array().expect("rows");
    let name = |row: &Value, of: &str| row[of].as_str().expect("a name").to_owned();
    let combinations: std::collections::BTreeSet<[String; 3]> =
        rows.iter().map(|row| ["mix", "construction", "policy"].map(|of| name(row, of))).collect();
    assert_eq!((rows.len(), combinations.len()), (27, 27));
    for row in rows {
        assert!(row["requests_per_s"].as_f64() > Some(0.0), "{row}");
        assert!(row["p50_us"].as_u64() <= row["p99_us"].as_u64(), "{row}");
        if row["mix"] == "blocking" {
            // Nobody is served before the device is ready.
            assert!(row["p50_us"].as_u64() >= Some(2000), "{row}");
        }
    }
    let svg = std::fs::read_to_string(plot).expect("the picture");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
}
