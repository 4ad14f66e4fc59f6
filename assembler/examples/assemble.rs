//! Assembles a file, for measuring: `assemble TEXT [BYTES] [--map]`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let mapped = args.iter().any(|arg| arg == "--map");
    args.retain(|arg| arg != "--map");
    let Some(input) = args.first() else {
        eprintln!("usage: assemble TEXT [BYTES] [--map]");
        return ExitCode::from(2);
    };
    let text = match std::fs::read(input) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("{input}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let options = brant_asm::AssembleOptions::default();
    let outcome = match mapped {
        true => brant_asm::assemble_with_map(&text, &options).map(|(bytes, map)| {
            eprintln!("map: {} bytes", map.len_bytes());
            bytes
        }),
        false => brant_asm::assemble(&text, &options),
    };
    match outcome {
        Ok(bytes) => match args.get(1) {
            Some(output) => match std::fs::write(output, bytes) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("{output}: {error}");
                    ExitCode::FAILURE
                }
            },
            None => ExitCode::SUCCESS,
        },
        Err(diagnostics) => {
            for diagnostic in &diagnostics.list {
                let place = diagnostic.span.line_column(&text);
                eprintln!("{input}:{place}: {} [{}]", diagnostic.message, diagnostic.code);
            }
            ExitCode::FAILURE
        }
    }
}
