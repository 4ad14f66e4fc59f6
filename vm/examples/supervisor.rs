//! A supervisor: looks at two nodes, and moves the hottest program of the busier one to the other.
//!
//! `cargo run -p brant --example supervisor`

use std::time::Duration;

use brant::node::{Address, Client, Grants, Listed, Mode, Node, NodeConfig, NodeError, Role};

/// Programs that compute for ever.
const BUSY: &str = r#"(module (func (export "_start") (loop $again (br $again))))"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("brant-supervisor-{}", std::process::id()));
    let nodes = ["a", "b"].map(|name| Address::Unix(folder.join(name)));
    for (name, address) in ["a", "b"].iter().zip(nodes.clone()) {
        let config = NodeConfig {
            state: folder.join(format!("{name}.state")),
            grants: Grants::default(),
            credentials: None,
            checkpoint_every: Duration::from_secs(60),
            role: Role::default(),
        };
        let node = Node::open(config)?;
        let (ready, is_ready) = std::sync::mpsc::channel();
        let say_ready = move |_: &str| ready.send(()).unwrap_or_default();
        std::thread::spawn(move || node.listen(&address, say_ready));
        is_ready.recv()?;
    }
    let module = brant_asm::assemble(BUSY.as_bytes(), &brant_asm::AssembleOptions::default());
    let module = module.map_err(|_| "the text has mistakes")?;
    for name in ["red", "blue"] {
        Client::connect(&nodes[0], None)?.push(name, vec![name.into()], &module)?;
    }
    println!("programs: {} and {}", count(&nodes[0])?, count(&nodes[1])?);
    balance(&nodes)?;
    println!("programs: {} and {}", count(&nodes[0])?, count(&nodes[1])?);
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

/// Moves the hottest program of the busier node, if it has more than one.
fn balance(nodes: &[Address; 2]) -> Result<(), NodeError> {
    let before = [list(&nodes[0])?, list(&nodes[1])?];
    std::thread::sleep(Duration::from_millis(200));
    let after = [list(&nodes[0])?, list(&nodes[1])?];
    // What each program has taken of the processor in between.
    let heat = |node: usize, program: &Listed| {
        let old = before[node].iter().find(|old| old.id == program.id);
        program.cpu_ns.saturating_sub(old.map_or(0, |old| old.cpu_ns))
    };
    let load = |node: usize| after[node].iter().map(|program| heat(node, program)).sum::<u64>();
    let busier = if load(0) >= load(1) { 0 } else { 1 };
    let hottest = after[busier].iter().max_by_key(|program| heat(busier, program));
    if let Some(program) = hottest.filter(|_| after[busier].len() > 1) {
        let (id, to) = (program.id.to_string(), &nodes[1 - busier]);
        Client::connect(&nodes[busier], None)?.migrate(&id, to, Mode::Live, |_| {})?;
    }
    Ok(())
}

fn list(node: &Address) -> Result<Vec<Listed>, NodeError> {
    Client::connect(node, None)?.list()
}

fn count(node: &Address) -> Result<usize, NodeError> {
    Ok(list(node)?.len())
}
