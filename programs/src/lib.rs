//! The example programs as data: what each shows, its source, its module, and a run with its output.
//!
//! Tests, benches and pages list the programs from here; nothing here runs anything.
//! Programs in text stand as `NAME.wat` beside this crate; those in C as `NAME.c`, with the module
//! that `build.sh` makes from it in `bin/`.
#![forbid(unsafe_code)]

/// A program of the folder `programs/`.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// The file name without its ending.
    pub name: &'static str,
    /// One sentence: what the program is and what it shows.
    pub shows: &'static str,
    /// Where its module comes from.
    pub source: Source,
    /// Runs whose result is known.
    pub runs: &'static [Run],
}

/// Where a program's module comes from.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// Text, to be assembled.
    Text(&'static str),
    /// C, and the bytecode that `build.sh` made from it.
    C {
        /// The C source.
        source: &'static str,
        /// The module.
        module: &'static [u8],
    },
}

/// One run and what must come of it.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Arguments after the program's name.
    pub args: &'static [&'static str],
    /// Standard input.
    pub stdin: &'static str,
    /// Files that stand in the mounted directory before the run: (name, text).
    pub files: &'static [(&'static str, &'static str)],
    /// Standard output.
    pub output: Output,
    /// The exit code.
    pub exit_code: u8,
}

/// Expected standard output.
#[derive(Clone, Copy, Debug)]
pub enum Output {
    /// Exactly this.
    Text(&'static str),
    /// Too large to write here: its length in bytes, and FNV-1a of 64 bits over it.
    Digest {
        /// Length in bytes.
        length_bytes: usize,
        /// [`fnv1a`] of the output.
        fnv1a: u64,
    },
}

impl Output {
    /// Whether `bytes` is the expected output.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        match *self {
            Self::Text(text) => text.as_bytes() == bytes,
            Self::Digest { length_bytes, fnv1a: digest } => {
                bytes.len() == length_bytes && fnv1a(bytes) == digest
            }
        }
    }
}

/// FNV-1a of 64 bits, to name an output that is too large to keep.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

impl Program {
    /// The module as bytecode; text is assembled.
    ///
    /// # Errors
    /// The assembler's diagnostics, if the text is wrong.
    pub fn module(&self) -> Result<Vec<u8>, brant_asm::Diagnostics> {
        match self.source {
            Source::Text(text) => {
                brant_asm::assemble(text.as_bytes(), &brant_asm::AssembleOptions::default())
            }
            Source::C { module, .. } => Ok(module.to_vec()),
        }
    }

    /// The file below `programs/` that `brant run` takes.
    pub fn path(&self) -> String {
        match self.source {
            Source::Text(_) => format!("{}.wat", self.name),
            Source::C { .. } => format!("bin/{}.wasm", self.name),
        }
    }
}

/// The program called `name`.
pub fn find(name: &str) -> Option<&'static Program> {
    all().find(|program| program.name == name)
}

/// Every program.
pub fn all() -> impl Iterator<Item = &'static Program> {
    PROGRAMS.iter().chain(THREADED)
}

macro_rules! text {
    ($name:literal) => {
        Source::Text(include_str!(concat!("../", $name, ".wat")))
    };
}
macro_rules! c {
    ($name:literal) => {
        Source::C {
            source: include_str!(concat!("../", $name, ".c")),
            module: include_bytes!(concat!("../bin/", $name, ".wasm")),
        }
    };
}

/// A run without input, files or failure.
const fn run(args: &'static [&'static str], output: &'static str) -> Run {
    Run { args, stdin: "", files: &[], output: Output::Text(output), exit_code: 0 }
}
/// A run on some input.
const fn fed(args: &'static [&'static str], stdin: &'static str, output: &'static str) -> Run {
    Run { args, stdin, files: &[], output: Output::Text(output), exit_code: 0 }
}

/// A run with arguments that the program does not take.
const fn misused(args: &'static [&'static str]) -> Run {
    Run { args, stdin: "", files: &[], output: Output::Text(""), exit_code: 2 }
}

/// Programs of one thread, which repeat exactly, from the smallest to the largest.
pub static PROGRAMS: &[Program] = &[
    Program {
        name: "hello",
        shows: "one import, one memory, one string",
        source: text!("hello"),
        runs: &[run(&[], "hello\n")],
    },
    Program {
        name: "counter",
        shows: "one number more on each line, ten lines a second",
        source: text!("counter"),
        runs: &[run(&["3"], "1\n2\n3\n"), run(&["0"], "")],
    },
    Program {
        name: "life",
        shows: "the game of life in the terminal",
        source: text!("life"),
        runs: &[Run {
            args: &["3"],
            stdin: "",
            files: &[],
            output: Output::Digest { length_bytes: LIFE_BYTES, fnv1a: 0x11c0_2a54_df86_fd24 },
            exit_code: 0,
        }],
    },
    Program {
        name: "mandelbrot",
        shows: "floating point in a tight loop, written as a picture",
        source: text!("mandelbrot"),
        runs: &[Run {
            args: &[],
            stdin: "",
            files: &[],
            output: Output::Digest { length_bytes: 15 + 320 * 240, fnv1a: 0x4878_aee0_915c_04fe },
            exit_code: 0,
        }],
    },
    Program {
        name: "matrix",
        shows: "a matrix product by numbers and by vectors of four",
        source: text!("matrix"),
        runs: &[run(&[], "trace 98294\n")],
    },
    Program {
        name: "nbody",
        shows: "double precision: the sun and four planets",
        source: c!("nbody"),
        runs: &[run(&["1000"], "-0.169075164\n-0.169087605\n")],
    },
    Program {
        name: "sudoku",
        shows: "search with bit sets and recursion",
        source: c!("sudoku"),
        runs: &[
            fed(
                &[],
                "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79\n",
                "534678912672195348198342567859761423426853791713924856961537284287419635345286179\n",
            ),
            Run {
                args: &[],
                stdin: "55.......\n",
                files: &[],
                output: Output::Text("a puzzle has 81 characters\n"),
                exit_code: 1,
            },
        ],
    },
    Program {
        name: "lines",
        shows: "a filter for lines of text",
        source: c!("lines"),
        runs: &[
            fed(&["count"], "one two\nthree\nthree\n", "3 4 20\n"),
            fed(&["unique"], "one two\nthree\nthree\n", "one two\nthree\n"),
            fed(&["reverse"], "a\nb\nc\n", "c\nb\na\n"),
            fed(&["find", "ee"], "one two\nthree\n", "three\n"),
            fed(&["replace", "e", "E"], "one\nthree\n", "onE\nthrEE\n"),
            fed(&["number"], "a\nb\n", "     1  a\n     2  b\n"),
            Run { args: &[], stdin: "", files: &[], output: Output::Text(""), exit_code: 2 },
        ],
    },
    Program {
        name: "calc",
        shows: "a calculator with a prompt",
        source: c!("calc"),
        runs: &[fed(
            &[],
            "(1 + 2) * 3\nx = 2 ^ 10\nx / 3\n1 +\nquit\n",
            "9\n1024\n341.333333333333\na number, a letter or a bracket was expected, at column 5\n",
        )],
    },
    Program {
        name: "forth",
        shows: "an interpreter inside the interpreter",
        source: c!("forth"),
        runs: &[
            fed(&[], ": square dup * ; 7 square .", "49 "),
            fed(
                &[],
                ": f dup 1 > if dup 1 - f * then ; 10 f . : t 3 0 do i . loop ; t",
                "3628800 0 1 2 ",
            ),
        ],
    },
    Program {
        name: "words",
        shows: "word frequencies over files of a mounted directory",
        source: c!("words"),
        runs: &[
            fed(&[], "b a b c. A b", "      3 b\n      2 a\n      1 c\n"),
            Run {
                args: &["one.txt", "two.txt"],
                stdin: "",
                files: &[("one.txt", "x y"), ("two.txt", "y z y")],
                output: Output::Text("      3 y\n      1 x\n      1 z\n"),
                exit_code: 0,
            },
        ],
    },
    Program {
        name: "kv",
        shows: "a key-value store on one file that only grows",
        source: c!("kv"),
        runs: &[
            run(&["store.kv", "set", "greeting", "hello"], ""),
            Run {
                args: &["store.kv", "get", "greeting"],
                stdin: "",
                files: &[],
                output: Output::Text(""),
                exit_code: 1,
            },
        ],
    },
    Program {
        name: "echo",
        shows: "a server for many connections on one thread",
        source: c!("echo"),
        // Without a listener there is nothing to serve.
        runs: &[Run { args: &[], stdin: "", files: &[], output: Output::Text(""), exit_code: 1 }],
    },
    Program {
        name: "ask",
        shows: "a client that finds a server by its name",
        source: c!("ask"),
        runs: &[Run { args: &[], stdin: "", files: &[], output: Output::Text(""), exit_code: 1 }],
    },
];

/// Programs with threads: what they print is known, what stands in their memory depends on who ran
/// when.
pub static THREADED: &[Program] = &[
    Program {
        name: "sh",
        shows: "a shell: pipelines of guest programs, jobs, scripts, on fork and exec from plain C",
        source: c!("sh"),
        runs: &[
            fed(
                &["-c", "x=1; echo $x \"a  b\" $(echo c); false || echo or; (exit 3); echo $? $#"],
                "",
                "1 a  b c\nor\n3 0\n",
            ),
            fed(&[], "echo one |\n(echo two; exit 4)\necho $? 'x\ny'\n", "two\n4 x\ny\n"),
            Run {
                args: &["script", "arg"],
                stdin: "",
                files: &[
                    ("script", "echo $0 $1 > out\n# nothing\n. ./more\nexit 7\n"),
                    ("more", "echo *\n"),
                ],
                output: Output::Text("more out script\n"),
                exit_code: 7,
            },
            Run {
                args: &["-c", "nobody"],
                stdin: "",
                files: &[],
                output: Output::Text(""),
                exit_code: 127,
            },
        ],
    },
    Program {
        name: "tools",
        shows: "the small programs that pipelines are made of, in one module",
        source: c!("tools"),
        runs: &[
            fed(&["seq", "3"], "", "1\n2\n3\n"),
            fed(&["sort", "-rn"], "10\n9\n100\n", "100\n10\n9\n"),
            fed(&["grep", "-vn", "b"], "a\nb\nc\n", "1:a\n3:c\n"),
            fed(&["uniq", "-c"], "a\na\nb\n", "2 a\n1 b\n"),
            fed(&["tail", "-2"], "1\n2\n3\n", "2\n3\n"),
            fed(&["tr", "a-c", "A-C"], "abcd\n", "ABCd\n"),
            fed(&["wc"], "one two\nthree\n", "2 3 14\n"),
            fed(&["head", "-1"], "1\n2\n", "1\n"),
        ],
    },
    Program {
        name: "spreadsheet",
        shows: "a thread for input, one that recalculates and one that saves share a sheet",
        source: c!("spreadsheet"),
        runs: &[
            fed(
                &[],
                "A1 = 2\nA2 = A1*3+1\nB1 = sum(A1:A2)\nC1 = C2\nC2 = C1\nD1 = 1+\nwait\nshow\nB1\nquit\n",
                "A1 2\nA2 7\nB1 9\nC1 ! needs itself\nC2 ! needs itself\n\
                 D1 ! a number, a cell or a bracket was expected\nB1 9\n",
            ),
            // The prompt answers while a recalculation runs that would take days, and a change of
            // what it depends on takes its place.
            fed(
                &[],
                "A1 = 9000000000\nA2 = primes(A1)\nA2\nA1 = 100\nwait\nA2\nA1 = 9000000000\nquit\n",
                "A2 = primes(A1) (recalculating)\nA2 25\n",
            ),
            Run {
                args: &["sheet.txt"],
                stdin: "wait\nB1\nquit\n",
                files: &[("sheet.txt", "A1 = 6\nB1 = A1 * 7\n")],
                output: Output::Text("B1 42\n"),
                exit_code: 0,
            },
        ],
    },
    Program {
        name: "fileserver",
        shows: "a file server: a single thread, workers, a finite-state machine",
        source: c!("fileserver"),
        runs: &[misused(&["single"])],
    },
    Program {
        name: "fetch",
        shows: "a client that fetches the parts of a page at once, from replicated servers",
        source: c!("fetch"),
        runs: &[misused(&["parallel", "127.0.0.1"])],
    },
    Program {
        name: "load",
        shows: "many clients at once, and how long each reply takes",
        source: c!("load"),
        runs: &[misused(&["127.0.0.1:1", "file", "0", "1"])],
    },
    Program {
        name: "constructions",
        shows: "a server in three constructions: a single thread, workers, a finite-state machine",
        source: c!("constructions"),
        runs: &[misused(&["workers"])],
    },
];

/// Four pictures of 24 lines of 64 cells, three of them after "cursor home".
const LIFE_BYTES: usize = 4 * 24 * 65 + 3 * 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_program_assembles() {
        for program in all() {
            let module = program.module();
            assert!(module.is_ok_and(|bytes| bytes.starts_with(b"\0asm")), "{}", program.name);
        }
    }

    #[test]
    fn every_program_says_what_it_shows_and_how_to_try_it() {
        for program in all() {
            let (Source::Text(text) | Source::C { source: text, .. }) = program.source;
            let head: String = text.lines().take(12).collect();
            assert!(head.contains("Shows:") && head.contains("Try:"), "{}", program.name);
            assert!(!program.runs.is_empty(), "{}", program.name);
        }
    }

    #[test]
    fn names_are_unique() {
        for program in all() {
            assert!(std::ptr::eq(find(program.name).expect("it is listed"), program));
        }
    }
}
