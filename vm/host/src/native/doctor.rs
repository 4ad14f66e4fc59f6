//! What this kernel and machine offer, and what brant does where something is missing.
//!
//! Data only: `brant doctor` prints it, as text or as JSON.
//! Every probe is harmless, needs no privilege and leaves nothing behind.

use std::fs;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::process::Resource;

use super::landlock::{self, Coverage};

/// How well one feature is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There in full.
    Good,
    /// Missing or short, and something slower or weaker takes its place.
    Fallback,
    /// Missing, and nothing takes its place.
    Missing,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A short fixed name (`landlock`, `openat2`, ...), fit for a script.
    pub name: &'static str,
    /// How well it is there.
    pub standing: Standing,
    /// What was found.
    pub found: String,
    /// What brant uses it for, and what it does without.
    pub meaning: &'static str,
}

/// Looks at everything that brant's speed or safety depends on, in a fixed order.
pub fn examine() -> Vec<Finding> {
    vec![
        kernel(),
        landlock_wall(),
        openat2(),
        userfaultfd(),
        pagemap_scan(),
        overcommit(),
        address_space(),
        mappings(),
        descriptors(),
        page_size(),
        cores(),
        cpu(),
    ]
}

fn finding(
    name: &'static str, standing: Standing, found: impl Into<String>, meaning: &'static str,
) -> Finding {
    Finding { name, standing, found: found.into(), meaning }
}

fn kernel() -> Finding {
    let uname = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    let found =
        format!("{} {} {}", text(uname.sysname()), text(uname.release()), text(uname.machine()));
    finding("kernel", Standing::Good, found, "the system below")
}

fn landlock_wall() -> Finding {
    let wall = landlock::probe();
    let (standing, found) = match wall.coverage {
        Coverage::Full => (Standing::Good, format!("version {}", wall.version)),
        Coverage::Partial => (Standing::Fallback, format!("version {}, in part", wall.version)),
        Coverage::None => (Standing::Fallback, "not available".to_string()),
    };
    let meaning = "second wall around the mounts of `brant run`; \
                   without it the path resolver is the only one";
    finding("landlock", standing, found, meaning)
}

fn openat2() -> Finding {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let (standing, found) = match rustix::fs::openat2(CWD, ".", flags, Mode::empty(), beneath) {
        Ok(_) => (Standing::Good, "available".to_string()),
        Err(error) => (Standing::Fallback, error.to_string()),
    };
    let meaning = "opens a guest's path in one system call that cannot leave the mount; \
                   without it the path is walked one component at a time";
    finding("openat2", standing, found, meaning)
}

fn userfaultfd() -> Finding {
    let built_in = fs::exists("/proc/sys/vm/unprivileged_userfaultfd").unwrap_or(false);
    let (standing, found) = match (built_in, kernel_version()) {
        (true, version) if version >= (6, 7) => (Standing::Good, "asynchronous write-protection"),
        (true, version) if version >= (5, 11) => (Standing::Fallback, "synchronous only"),
        _ => (Standing::Fallback, "not available"),
    };
    let meaning = "tracks which pages a running process writes; \
                   without it page protection and signals do, more slowly";
    finding("userfaultfd", standing, found, meaning)
}

fn pagemap_scan() -> Finding {
    let there = kernel_version() >= (6, 7) && fs::exists("/proc/self/pagemap").unwrap_or(false);
    let (standing, found) = match there {
        true => (Standing::Good, "available"),
        false => (Standing::Fallback, "not available"),
    };
    let meaning = "finds written pages in one call; without it every write is noted by a fault";
    finding("pagemap-scan", standing, found, meaning)
}

fn overcommit() -> Finding {
    let mode = fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap_or_default();
    let (standing, found) = match mode.trim() {
        "0" => (Standing::Good, "heuristic (0)"),
        "1" => (Standing::Good, "always (1)"),
        "2" => (Standing::Fallback, "never (2)"),
        _ => (Standing::Good, "unknown"),
    };
    let meaning = "reserving 4 GiB for a guest's memory costs nothing; \
                   where it is never overcommitted, only what is used is mapped writable";
    finding("overcommit", standing, found, meaning)
}

/// A guest's memory is reserved whole, so that bounds checks cost nothing: 4 GiB and a guard.
const ROOMY_ADDRESS_SPACE_BYTES: u64 = 8 << 30;

fn address_space() -> Finding {
    let (standing, found) = match rustix::process::getrlimit(Resource::As).current {
        None => (Standing::Good, "unlimited".to_string()),
        Some(bytes) if bytes >= ROOMY_ADDRESS_SPACE_BYTES => {
            (Standing::Good, format!("{} MiB", bytes >> 20))
        }
        Some(bytes) => (Standing::Fallback, format!("{} MiB", bytes >> 20)),
    };
    let meaning = "room for guard pages and compilers; where it is short (ulimit -v), less is \
                   reserved, accesses are checked in code, and below 256 MiB nothing is compiled";
    finding("address-space", standing, found, meaning)
}

/// A stack, a memory and a table for each of some thousand processes.
const ROOMY_MAPPING_COUNT: u64 = 65_530;

fn mappings() -> Finding {
    let count = number_in("/proc/sys/vm/max_map_count").unwrap_or(ROOMY_MAPPING_COUNT);
    let standing = if count >= ROOMY_MAPPING_COUNT { Standing::Good } else { Standing::Fallback };
    let meaning = "memory mappings of one process; bounds how many guests one host process holds";
    finding("mappings", standing, count.to_string(), meaning)
}

/// A guest may hold as many descriptors as its manifest says (1,024 if it says nothing).
const ROOMY_DESCRIPTOR_COUNT: u64 = 1_024;

fn descriptors() -> Finding {
    let limit = rustix::process::getrlimit(Resource::Nofile).current;
    let (standing, found) = match limit {
        None => (Standing::Good, "unlimited".to_string()),
        Some(count) if count >= ROOMY_DESCRIPTOR_COUNT => (Standing::Good, count.to_string()),
        Some(count) => (Standing::Fallback, count.to_string()),
    };
    let meaning = "open files of this process (ulimit -n); a guest gets EMFILE when they run out";
    finding("descriptors", standing, found, meaning)
}

fn page_size() -> Finding {
    let bytes = rustix::param::page_size();
    let standing = if bytes <= 65_536 { Standing::Good } else { Standing::Missing };
    let meaning = "a guest's memory grows by 64 KiB, which must be whole host pages";
    finding("page-size", standing, format!("{bytes} bytes"), meaning)
}

fn cores() -> Finding {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let standing = if count > 1 { Standing::Good } else { Standing::Fallback };
    let meaning = "an idle core validates and compiles ahead; with one, that happens when needed";
    finding("cores", standing, count.to_string(), meaning)
}

#[cfg(target_arch = "x86_64")]
fn cpu() -> Finding {
    macro_rules! features {
        ($($name:tt)*) => { [$(($name, std::is_x86_feature_detected!($name))),*] };
    }
    let features = features!("sse3" "ssse3" "sse4.1" "sse4.2" "popcnt" "lzcnt" "bmi1" "bmi2"
        "avx" "avx2" "fma" "avx512f");
    let needed_for_simd = ["ssse3", "sse4.1"];
    let simd = features.iter().all(|(name, there)| *there || !needed_for_simd.contains(name));
    cpu_finding(&features, simd)
}

#[cfg(target_arch = "aarch64")]
fn cpu() -> Finding {
    macro_rules! features {
        ($($name:tt)*) => { [$(($name, std::arch::is_aarch64_feature_detected!($name))),*] };
    }
    let features = features!("neon" "lse" "crc" "fp16" "dotprod" "sve");
    let simd = features[0].1;
    cpu_finding(&features, simd)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn cpu() -> Finding {
    cpu_finding(&[], false)
}

fn cpu_finding(features: &[(&str, bool)], simd: bool) -> Finding {
    let there: Vec<&str> = features.iter().filter(|(_, there)| *there).map(|(n, _)| *n).collect();
    let standing = if simd { Standing::Good } else { Standing::Fallback };
    let meaning = "instructions that vector and bit operations map to; \
                   without them the same results take several instructions";
    finding("cpu", standing, format!("{} {}", std::env::consts::ARCH, there.join(" ")), meaning)
}

fn number_in(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Major and minor number of the running kernel; (0, 0) where they cannot be read.
fn kernel_version() -> (u32, u32) {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor),
        _ => (0, 0),
    }
}
