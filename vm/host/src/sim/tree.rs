//! Files in memory: a tree of nodes, and paths through it.
//!
//! Paths never lead above the directory they start at, and links are followed at most 40 times: the
//! rules, and the errors, are those of the native host on Linux.
//! A directory lists its entries in the order in which they were made; an entry's cookie is its
//! number there, so that listing goes on rightly while entries come and go.

use std::collections::BTreeMap;

use brant_kernel::errno::Errno;
use brant_kernel::host::{Answer, Entry, Follow, Kind, MountAccess, OpenHow, Stat};

/// All files together.
const MOST_BYTES: u64 = 1 << 30;
/// Files, directories and links together.
const MOST_NODES: usize = 1 << 20;
const LONGEST_PATH_BYTES: usize = 4_095;
const LONGEST_NAME_BYTES: usize = 255;
const MOST_LINKS_FOLLOWED: u32 = 40;
/// `.` and `..` have the cookies before this.
const FIRST_COOKIE: u64 = 3;

/// Names a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeId(usize);

/// How a file was opened.
#[derive(Clone, Copy)]
pub(super) struct Access {
    pub read: bool,
    pub write: bool,
    pub mount: MountAccess,
}

enum Content {
    File(Vec<u8>),
    Directory {
        parent: Option<NodeId>,
        names: BTreeMap<Vec<u8>, u64>,
        entries: BTreeMap<u64, Named>,
        next: u64,
    },
    Link(Vec<u8>),
}

struct Named {
    name: Vec<u8>,
    node: NodeId,
}

struct Node {
    content: Content,
    /// Names that lead here.
    links: u64,
    /// Open objects that stand here.
    open: u64,
    accessed_ns: u64,
    modified_ns: u64,
    changed_ns: u64,
}

/// All files.
pub(super) struct Tree {
    nodes: Vec<Option<Node>>,
    bytes: u64,
}

/// Where a path leads.
struct Place {
    parent: NodeId,
    /// The last name; empty for `.`, `..` and the start itself.
    name: Vec<u8>,
    node: Option<NodeId>,
    /// The path ended in a slash.
    wants_directory: bool,
}

/// What happens to a link in the last component.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Follow,
    /// Only where a slash stands behind it.
    Keep,
    /// Never: the call works on the name.
    Name,
}

impl Tree {
    pub fn new() -> Tree {
        Tree { nodes: Vec::new(), bytes: 0 }
    }

    pub fn new_root(&mut self, now_ns: u64) -> NodeId {
        let id = NodeId(self.nodes.len());
        let content = directory(None);
        self.nodes.push(Some(Node { links: 1, ..Node::new(content, now_ns) }));
        id
    }

    fn node(&self, id: NodeId) -> &Node {
        self.nodes[id.0].as_ref().expect("a node that is named or open exists")
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        self.nodes[id.0].as_mut().expect("a node that is named or open exists")
    }

    /// Counts one more open object.
    pub fn keep(&mut self, id: NodeId) {
        self.node_mut(id).open += 1;
    }

    /// One open object less.
    pub fn close(&mut self, id: NodeId) {
        self.node_mut(id).open -= 1;
        self.forget_if_unused(id);
    }

    fn forget_if_unused(&mut self, id: NodeId) {
        let node = self.node(id);
        if node.links == 0 && node.open == 0 {
            self.bytes -= self.bytes(id).map_or(0, |bytes| bytes.len() as u64);
            self.nodes[id.0] = None;
        }
    }

    fn insert(&mut self, content: Content, now_ns: u64) -> Answer<NodeId> {
        let free = self.nodes.iter().position(Option::is_none);
        let index = free.unwrap_or(self.nodes.len());
        if index >= MOST_NODES {
            return Err(Errno::NoSpace);
        }
        if index == self.nodes.len() {
            self.nodes.push(None);
        }
        self.nodes[index] = Some(Node::new(content, now_ns));
        Ok(NodeId(index))
    }

    /// An open file without a name.
    pub fn scratch(&mut self, now_ns: u64) -> Answer<NodeId> {
        let id = self.insert(Content::File(Vec::new()), now_ns)?;
        self.keep(id);
        Ok(id)
    }

    /// The bytes of a file.
    pub fn bytes(&self, id: NodeId) -> Option<&[u8]> {
        match &self.node(id).content {
            Content::File(bytes) => Some(bytes),
            _ => None,
        }
    }

    fn child(&self, directory: NodeId, name: &[u8]) -> Answer<Option<NodeId>> {
        match &self.node(directory).content {
            Content::Directory { names, entries, .. } => {
                Ok(names.get(name).and_then(|cookie| entries.get(cookie)).map(|named| named.node))
            }
            _ => Err(Errno::NotDirectory),
        }
    }

    fn is_directory(&self, id: NodeId) -> bool {
        matches!(self.node(id).content, Content::Directory { .. })
    }

    /// Walks `path` from `start`.
    fn walk(&self, start: NodeId, path: &[u8], last: Last) -> Answer<Place> {
        match path {
            [] => return Err(Errno::NoEntry),
            [b'/', ..] => return Err(Errno::NotPermitted),
            _ if path.len() > LONGEST_PATH_BYTES => return Err(Errno::NameTooLong),
            _ => {}
        }
        let mut wants_directory = path.ends_with(b"/");
        let mut todo: Vec<Vec<u8>> = components(path);
        let mut way = vec![start];
        let mut links = 0;
        while let Some(name) = todo.pop() {
            let here = way[way.len() - 1];
            if name == b"." {
                continue;
            }
            if name == b".." {
                if way.len() == 1 {
                    return Err(Errno::NotPermitted);
                }
                way.pop();
                continue;
            }
            if name.len() > LONGEST_NAME_BYTES {
                return Err(Errno::NameTooLong);
            }
            let found = self.child(here, &name)?;
            let is_last = todo.is_empty();
            let Some(node) = found else {
                if is_last {
                    return Ok(Place { parent: here, name, node: None, wants_directory });
                }
                return Err(Errno::NoEntry);
            };
            let follows = !is_last || last == Last::Follow || last == Last::Keep && wants_directory;
            match &self.node(node).content {
                Content::Link(target) if follows => {
                    links += 1;
                    if links > MOST_LINKS_FOLLOWED {
                        return Err(Errno::Loop);
                    }
                    if target.starts_with(b"/") {
                        return Err(Errno::NotPermitted);
                    }
                    wants_directory |= is_last && target.ends_with(b"/");
                    todo.extend(components(target));
                }
                _ if is_last => {
                    if wants_directory && last != Last::Name && !self.is_directory(node) {
                        return Err(Errno::NotDirectory);
                    }
                    return Ok(Place { parent: here, name, node: Some(node), wants_directory });
                }
                Content::Directory { .. } => way.push(node),
                _ => return Err(Errno::NotDirectory),
            }
        }
        let here = way[way.len() - 1];
        Ok(Place { parent: here, name: Vec::new(), node: Some(here), wants_directory })
    }

    /// The node that `path` names.
    pub fn find(&self, start: NodeId, path: &[u8], follow: Follow) -> Answer<NodeId> {
        let last = if follow == Follow::Yes { Last::Follow } else { Last::Keep };
        self.walk(start, path, last)?.node.ok_or(Errno::NoEntry)
    }

    pub fn stat(&self, id: NodeId) -> Stat {
        let node = self.node(id);
        let (kind, size_bytes) = match &node.content {
            Content::File(bytes) => (Kind::File, bytes.len()),
            Content::Directory { entries, .. } => (Kind::Directory, entries.len()),
            Content::Link(target) => (Kind::Link, target.len()),
        };
        Stat {
            device: 1,
            inode: id.0 as u64 + 1,
            kind,
            link_count: node.links,
            size_bytes: size_bytes as u64,
            accessed_ns: node.accessed_ns,
            modified_ns: node.modified_ns,
            changed_ns: node.changed_ns,
        }
    }

    pub fn set_times(
        &mut self, id: NodeId, accessed_ns: Option<u64>, modified_ns: Option<u64>, now_ns: u64,
    ) {
        let node = self.node_mut(id);
        node.accessed_ns = accessed_ns.unwrap_or(node.accessed_ns);
        node.modified_ns = modified_ns.unwrap_or(node.modified_ns);
        node.changed_ns = now_ns;
    }

    /// Opens what `path` names; it stays until [`Tree::close`].
    pub fn open(
        &mut self, start: NodeId, path: &[u8], how: OpenHow, now_ns: u64,
    ) -> Answer<(NodeId, Kind)> {
        if how.directory && (how.create || how.exclusive || how.truncate) {
            return Err(Errno::Invalid);
        }
        let exclusive = how.create && how.exclusive;
        let last = match how.follow {
            _ if exclusive => Last::Name,
            Follow::Yes => Last::Follow,
            Follow::No => Last::Keep,
        };
        let place = self.walk(start, path, last)?;
        let node = match place.node {
            Some(_) if exclusive => return Err(Errno::Exists),
            Some(node) => node,
            None if !how.create => return Err(Errno::NoEntry),
            None if place.wants_directory => return Err(Errno::IsDirectory),
            None => {
                let node = self.insert(Content::File(Vec::new()), now_ns)?;
                self.name(place.parent, &place.name, node, now_ns);
                node
            }
        };
        let kind = self.stat(node).kind;
        match kind {
            Kind::Link => return Err(Errno::Loop),
            Kind::Directory if how.write || how.create || how.truncate => {
                return Err(Errno::IsDirectory);
            }
            Kind::File if how.directory => return Err(Errno::NotDirectory),
            _ => {}
        }
        if how.truncate {
            self.set_size(node, 0, now_ns)?;
        }
        self.keep(node);
        Ok((node, kind))
    }

    /// Opens for reading whatever was asked for, and refuses where a change was meant.
    pub fn open_read_only(
        &mut self, start: NodeId, path: &[u8], how: OpenHow, now_ns: u64,
    ) -> Answer<(NodeId, Kind)> {
        let changes = how.write || how.truncate;
        let reading =
            OpenHow { write: false, create: false, exclusive: false, truncate: false, ..how };
        let refused = match self.open(start, path, reading, now_ns) {
            Err(Errno::NoEntry) if how.create => return Err(Errno::ReadOnly),
            Ok((node, _)) if how.create && how.exclusive => (node, Errno::Exists),
            Ok((node, Kind::Directory)) if changes => (node, Errno::IsDirectory),
            Ok((node, _)) if changes => (node, Errno::ReadOnly),
            answer => return answer,
        };
        self.close(refused.0);
        Err(refused.1)
    }

    /// Writes from `offset` on, zeros before it where the file is shorter.
    pub fn write(&mut self, id: NodeId, bytes: &[u8], offset: u64, now_ns: u64) -> Answer<()> {
        let end = offset.checked_add(bytes.len() as u64).ok_or(Errno::FileTooBig)?;
        if end > self.stat(id).size_bytes {
            self.set_size(id, end, now_ns)?;
        }
        let node = self.node_mut(id);
        let Content::File(content) = &mut node.content else { return Err(Errno::IsDirectory) };
        content[offset as usize..end as usize].copy_from_slice(bytes);
        (node.modified_ns, node.changed_ns) = (now_ns, now_ns);
        Ok(())
    }

    pub fn set_size(&mut self, id: NodeId, size_bytes: u64, now_ns: u64) -> Answer<()> {
        let before = self.stat(id).size_bytes;
        let sum = (self.bytes - before).checked_add(size_bytes).ok_or(Errno::FileTooBig)?;
        if sum > MOST_BYTES {
            return Err(if i64::try_from(size_bytes).is_ok() {
                Errno::NoSpace
            } else {
                Errno::FileTooBig
            });
        }
        self.bytes = sum;
        let node = self.node_mut(id);
        let Content::File(content) = &mut node.content else { return Err(Errno::IsDirectory) };
        content.resize(size_bytes as usize, 0);
        (node.modified_ns, node.changed_ns) = (now_ns, now_ns);
        Ok(())
    }

    pub fn list(&self, id: NodeId, cookie: u64, visit: &mut dyn FnMut(Entry<'_>) -> bool) {
        let Content::Directory { parent, entries, .. } = &self.node(id).content else { return };
        let inode = |node: NodeId| node.0 as u64 + 1;
        let above = inode(parent.unwrap_or(id));
        for (next_cookie, inode, name) in [(1, inode(id), &b"."[..]), (2, above, b"..")] {
            let dots = Entry { next_cookie, inode, kind: Kind::Directory, name };
            if cookie < next_cookie && !visit(dots) {
                return;
            }
        }
        for (&own, named) in entries.range(cookie.saturating_add(1)..) {
            let kind = self.stat(named.node).kind;
            let entry =
                Entry { next_cookie: own, inode: inode(named.node), kind, name: &named.name };
            if !visit(entry) {
                return;
            }
        }
    }

    /// Gives `node` a name.
    fn name(&mut self, directory: NodeId, name: &[u8], node: NodeId, now_ns: u64) {
        self.node_mut(node).links += 1;
        if let Content::Directory { parent, .. } = &mut self.node_mut(node).content {
            *parent = Some(directory);
        }
        let holder = self.node_mut(directory);
        (holder.modified_ns, holder.changed_ns) = (now_ns, now_ns);
        if let Content::Directory { names, entries, next, .. } = &mut holder.content {
            names.insert(name.to_vec(), *next);
            entries.insert(*next, Named { name: name.to_vec(), node });
            *next += 1;
        }
    }

    /// Takes a name away; the node goes with its last name and last open object.
    fn unname(&mut self, directory: NodeId, name: &[u8], now_ns: u64) {
        let holder = self.node_mut(directory);
        (holder.modified_ns, holder.changed_ns) = (now_ns, now_ns);
        let Content::Directory { names, entries, .. } = &mut holder.content else { return };
        let removed = names.remove(name).and_then(|cookie| entries.remove(&cookie));
        if let Some(Named { node, .. }) = removed {
            self.node_mut(node).links -= 1;
            self.node_mut(node).changed_ns = now_ns;
            self.forget_if_unused(node);
        }
    }

    pub fn create_directory(&mut self, start: NodeId, path: &[u8], now_ns: u64) -> Answer<()> {
        let place = self.walk(start, path, Last::Name)?;
        if place.node.is_some() {
            return Err(Errno::Exists);
        }
        let node = self.insert(directory(Some(place.parent)), now_ns)?;
        self.name(place.parent, &place.name, node, now_ns);
        Ok(())
    }

    pub fn remove_directory(&mut self, start: NodeId, path: &[u8], now_ns: u64) -> Answer<()> {
        let place = self.walk(start, path, Last::Name)?;
        let node = place.node.ok_or(Errno::NoEntry)?;
        if place.name.is_empty() {
            return Err(Errno::Invalid);
        }
        match &self.node(node).content {
            Content::Directory { entries, .. } if entries.is_empty() => {}
            Content::Directory { .. } => return Err(Errno::NotEmpty),
            _ => return Err(Errno::NotDirectory),
        }
        self.unname(place.parent, &place.name, now_ns);
        Ok(())
    }

    pub fn remove_file(&mut self, start: NodeId, path: &[u8], now_ns: u64) -> Answer<()> {
        let place = self.walk(start, path, Last::Name)?;
        let node = place.node.ok_or(Errno::NoEntry)?;
        if place.name.is_empty() || self.is_directory(node) {
            return Err(Errno::IsDirectory);
        }
        if place.wants_directory {
            return Err(Errno::NotDirectory);
        }
        self.unname(place.parent, &place.name, now_ns);
        Ok(())
    }

    pub fn rename(
        &mut self, from: NodeId, path: &[u8], to: NodeId, new_path: &[u8], now_ns: u64,
    ) -> Answer<()> {
        let old = self.walk(from, path, Last::Name)?;
        let new = self.walk(to, new_path, Last::Name)?;
        if old.name.is_empty() || new.name.is_empty() {
            return Err(Errno::Busy);
        }
        let node = old.node.ok_or(Errno::NoEntry)?;
        let moves_directory = self.is_directory(node);
        if !moves_directory && (old.wants_directory || new.wants_directory) {
            return Err(Errno::NotDirectory);
        }
        // A directory cannot go into itself.
        let mut above = Some(new.parent);
        while let Some(id) = above {
            if id == node {
                return Err(Errno::Invalid);
            }
            above = match &self.node(id).content {
                Content::Directory { parent, .. } => *parent,
                _ => None,
            };
        }
        if let Some(replaced) = new.node {
            if replaced == node {
                return Ok(());
            }
            match (&self.node(replaced).content, moves_directory) {
                (Content::Directory { .. }, false) => return Err(Errno::IsDirectory),
                (Content::Directory { entries, .. }, true) if !entries.is_empty() => {
                    return Err(Errno::NotEmpty);
                }
                (Content::File(_) | Content::Link(_), true) => return Err(Errno::NotDirectory),
                _ => {}
            }
            self.unname(new.parent, &new.name, now_ns);
        }
        // The new name first, so that the node never has none.
        self.name(new.parent, &new.name, node, now_ns);
        self.unname(old.parent, &old.name, now_ns);
        Ok(())
    }

    pub fn link(
        &mut self, from: NodeId, path: &[u8], to: NodeId, new_path: &[u8], now_ns: u64,
    ) -> Answer<()> {
        let old = self.walk(from, path, Last::Name)?;
        let node = old.node.ok_or(Errno::NoEntry)?;
        if old.wants_directory && !self.is_directory(node) {
            return Err(Errno::NotDirectory);
        }
        let new = self.walk(to, new_path, Last::Name)?;
        if new.node.is_some() {
            return Err(Errno::Exists);
        }
        if new.wants_directory {
            return Err(Errno::NoEntry);
        }
        if self.is_directory(node) {
            return Err(Errno::NotPermitted);
        }
        self.name(new.parent, &new.name, node, now_ns);
        self.node_mut(node).changed_ns = now_ns;
        Ok(())
    }

    pub fn symlink(
        &mut self, target: &[u8], start: NodeId, root: NodeId, path: &[u8], now_ns: u64,
    ) -> Answer<()> {
        let place = self.walk(start, path, Last::Name)?;
        if target.is_empty() {
            return Err(Errno::NoEntry);
        }
        if target.starts_with(b"/") || steps_up(target) > self.depth(place.parent, root) {
            return Err(Errno::NotPermitted);
        }
        if place.node.is_some() {
            return Err(Errno::Exists);
        }
        if place.wants_directory {
            return Err(Errno::NoEntry);
        }
        let node = self.insert(Content::Link(target.to_vec()), now_ns)?;
        self.name(place.parent, &place.name, node, now_ns);
        Ok(())
    }

    /// How many steps `id` is below `root`.
    fn depth(&self, id: NodeId, root: NodeId) -> usize {
        let (mut id, mut depth) = (id, 0);
        while id != root {
            let Content::Directory { parent: Some(parent), .. } = self.node(id).content else {
                break;
            };
            (id, depth) = (parent, depth + 1);
        }
        depth
    }

    pub fn read_link(&self, start: NodeId, path: &[u8]) -> Answer<&[u8]> {
        let node = self.walk(start, path, Last::Keep)?.node.ok_or(Errno::NoEntry)?;
        match &self.node(node).content {
            Content::Link(target) if target.starts_with(b"/") => Err(Errno::NotPermitted),
            Content::Link(target) => Ok(target),
            _ => Err(Errno::Invalid),
        }
    }
}

impl Node {
    fn new(content: Content, now_ns: u64) -> Node {
        Node {
            content,
            links: 0,
            open: 0,
            accessed_ns: now_ns,
            modified_ns: now_ns,
            changed_ns: now_ns,
        }
    }
}

fn directory(parent: Option<NodeId>) -> Content {
    Content::Directory {
        parent,
        names: BTreeMap::new(),
        entries: BTreeMap::new(),
        next: FIRST_COOKIE,
    }
}

/// The components of a path, the last one first, without empty ones.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    path.rsplit(|&byte| byte == b'/').filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect()
}

/// How many times a link's target leads up at most, before it leads down again.
fn steps_up(target: &[u8]) -> usize {
    let (mut depth, mut lowest) = (0_isize, 0_isize);
    for component in target.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => depth -= 1,
            _ => depth += 1,
        }
        lowest = lowest.min(depth);
    }
    lowest.unsigned_abs()
}
