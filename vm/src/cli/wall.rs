//! The second wall around a program: what its process of the system may still open.

use std::path::{Path, PathBuf};

use brant::control::Control;
use brant::{CodeCache, MountAccess};
use brant_host::native::landlock::{Coverage, Grant, Wall, landlock_with_ports};
use brant_kernel::net::{Access, NetRules};

use super::checkpoint::Checkpoints;
use super::options::RunOptions;
use super::run::mount;

/// Builds the wall. Where the system has none, the first one stands alone.
pub(super) fn build(options: &RunOptions, control: Option<&Control>, cache: Option<&CodeCache>) {
    if options.sim {
        return;
    }
    // Its socket is removed at the end.
    let control = control.and_then(|control| control.path().parent()).map(Grant::read_write);
    // Code is found and kept while the program runs.
    let cache = cache.map(|cache| Grant::read_write(cache.path()));
    let mut grants: Vec<Grant> = options
        .dirs
        .iter()
        .map(|grant| match mount(grant) {
            (host, _, MountAccess::ReadOnly) => Grant::read(host),
            (host, _, MountAccess::ReadWrite) => Grant::read_write(host),
        })
        .chain(control)
        .chain(cache)
        .collect();
    // Snapshots are written beside the file that they replace.
    let folders = Checkpoints::folders(options);
    grants.extend(folders.into_iter().map(Grant::read_write));
    let mut rules = NetRules::default();
    options.net.iter().for_each(|rule| rules.add(rule.clone()));
    if rules.allows_any(Access::Resolve) {
        grants.extend(resolver_files().into_iter().map(Grant::read));
    }
    let outcome = landlock_with_ports(&grants, rules.ports(Access::Listen).as_deref());
    if options.verbose {
        match outcome {
            Ok(Wall { coverage: Coverage::None, .. }) => {
                eprintln!("brant: this kernel has no Landlock")
            }
            Ok(Wall { coverage, version }) => {
                eprintln!("brant: Landlock version {version} stands ({coverage:?})");
            }
            Err(error) => eprintln!("brant: Landlock does not stand: {error}"),
        }
    }
}

/// What the system reads to find the addresses of a name, as far as it is there.
fn resolver_files() -> Vec<PathBuf> {
    let files = ["hosts", "resolv.conf", "nsswitch.conf", "host.conf", "gai.conf"];
    let files = files.into_iter().map(|name| Path::new("/etc").join(name));
    files.filter_map(|file| std::fs::canonicalize(file).ok()).collect()
}
