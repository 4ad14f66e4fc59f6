//! `brant cache`: what is kept of compiled code, and the cache that a run uses.

use std::io::Write;
use std::sync::Arc;
use std::time::SystemTime;

use brant::CodeCache;
use brant_engine::stored::CodeStore;
use serde_json::json;

use super::exit::Failure;
use super::options::{Format, RunOptions, Tier};
use super::table::Table;
use super::units::{self, show_bytes};

/// Shows or removes compiled code that is kept on disk.
#[derive(clap::Args)]
pub struct CacheOptions {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// List what is kept, latest use first
    Ls(ListOptions),
    /// Remove all of it
    Clear(ListOptions),
}

/// How it is shown.
#[derive(clap::Args)]
struct ListOptions {
    /// Form of the output.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

/// Runs the verb.
pub fn cache(options: &CacheOptions) -> Result<u8, Failure> {
    let cache = open()?;
    match &options.what {
        What::Ls(options) => list(&cache, options.format),
        What::Clear(options) => clear(&cache, options.format),
    }
}

/// The cache of this user, as the environment says.
pub fn open() -> Result<CodeCache, Failure> {
    let path = CodeCache::default_path().ok_or_else(|| {
        Failure::load("there is no place for a cache")
            .with_help("set `XDG_CACHE_HOME`, `HOME` or `BRANT_CACHE_DIR`")
    })?;
    let cache = CodeCache::open(&path).map_err(|error| {
        Failure::load(format!("cannot use the cache `{}`: {error}", path.display()))
    })?;
    match std::env::var("BRANT_CACHE_SIZE") {
        Ok(text) => {
            let limit = units::bytes(&text)
                .map_err(|error| Failure::usage(format!("`BRANT_CACHE_SIZE={text}`: {error}")))?;
            Ok(cache.with_limit(limit))
        }
        Err(_) => Ok(cache),
    }
}

/// The cache that a run uses. It runs all the same where there is none.
pub fn of_run(options: &RunOptions) -> Option<Arc<CodeCache>> {
    if options.no_cache || options.tier == Tier::Interp {
        return None;
    }
    match open() {
        Ok(cache) => Some(Arc::new(cache)),
        Err(failure) => {
            if options.verbose {
                eprint!("brant: compiled code is not kept: {failure}");
            }
            None
        }
    }
}

/// The cache as the engine sees it.
pub fn store(cache: &Arc<CodeCache>) -> Arc<dyn CodeStore> {
    cache.clone()
}

fn list(cache: &CodeCache, format: Format) -> Result<u8, Failure> {
    let list = cache.list()?;
    let mut out = std::io::stdout();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    if format == Format::Json {
        for code in list {
            let used = code.used.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let value = json!({
                "key": code.key, "module": hex(&code.module), "bytes": code.len_bytes,
                "functions": code.survey.functions, "refused": code.survey.refused,
                "damaged": code.survey.damaged, "code_bytes": code.survey.code_bytes,
                "used": used.as_secs(), "path": code.path.map(|path| path.display().to_string()),
            });
            writeln!(out, "{value}")?;
        }
        return Ok(0);
    }
    let mut table = Table::new(["key", "module", "functions", "size", "last use", "file"]);
    let mut total = 0;
    for code in &list {
        total += code.len_bytes;
        let age = code.used.elapsed().unwrap_or_default().as_secs();
        let path = code.path.as_deref().map(|path| path.display().to_string());
        table.row([
            &code.key[..12],
            &hex(&code.module[..6]),
            &code.survey.functions.to_string(),
            &show_bytes(code.len_bytes),
            &show_age(age),
            path.as_deref().unwrap_or(""),
        ]);
    }
    if !table.is_empty() {
        write!(out, "{table}")?;
    }
    let files = if list.len() == 1 { "file" } else { "files" };
    writeln!(out, "{} {files}, {} in {}", list.len(), show_bytes(total), cache.path().display())?;
    Ok(0)
}

/// How long ago something was, for a person.
fn show_age(seconds: u64) -> String {
    match seconds {
        0..60 => "now".to_owned(),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86_400 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

fn clear(cache: &CodeCache, format: Format) -> Result<u8, Failure> {
    let (files, bytes) = cache.clear()?;
    let mut out = std::io::stdout();
    match format {
        Format::Json => writeln!(out, "{}", json!({ "files": files, "bytes": bytes }))?,
        Format::Text => {
            let noun = if files == 1 { "file" } else { "files" };
            writeln!(out, "{files} {noun} removed, {}", show_bytes(bytes))?;
        }
    }
    Ok(0)
}
