//! The folded form: operands inside the parentheses of the instruction that takes them.
//!
//! A body is read once into a tree of nodes, whose text is rendered at the same time, and then
//! printed.
//! Whatever the tree looks like, its text means the same instructions in the same order: a node
//! only ever takes the nodes directly before it.
//! So nothing depends on the module being valid.
//!
//! Both passes keep their own stacks. A body too long for a tree is printed flat.

use std::cell::RefCell;
use std::io;

use brant_isa::Opcode;

use super::Module;
use super::code::{Code, at_end, put_offset};
use super::outline::Outline;
use super::reader::{Fault, Reader};
use super::sink::Sink;
use super::table::{Entry, Form, Table, VARIES};

/// Longest body that is folded: its tree takes about fifty times as much memory.
const BODY_MAX_BYTES: usize = 1 << 20;

/// Longest text of operands that stand on the line of their instruction.
const INLINE_MAX_BYTES: u32 = 60;

/// No node.
const NONE: u32 = u32::MAX;

/// An instruction in the tree.
struct Node {
    /// Where its text without parentheses begins and ends.
    text: (u32, u32),
    /// How long it is with all that it takes on one line; the largest number if it holds a block.
    inline_bytes: u32,
    offset: usize,
    /// Operands, or what is in a block: the first node, which leads to the others.
    children: u32,
    /// For `if`: the first nodes of both arms.
    then: u32,
    otherwise: u32,
    /// The node behind this one in the list it is in.
    next: u32,
    /// Whether it leaves exactly one value, made of nothing but its own operands.
    is_value: bool,
    is_if: bool,
    has_else: bool,
}

/// A block that is open while the body is read.
struct Frame {
    node: u32,
    /// How many nodes were waiting when it began.
    waiting: usize,
    /// How many values a branch to its label takes.
    label_arity: u32,
    is_value: bool,
}

/// Memory for one tree, used again for each function.
pub(super) struct Fold<'s> {
    text: &'s RefCell<Vec<u8>>,
    scratch: Sink<'s>,
    nodes: Vec<Node>,
    /// Nodes that nothing has taken yet, in order.
    waiting: Vec<u32>,
    frames: Vec<Frame>,
    steps: Vec<Step>,
}

/// A writer that others can look into.
pub(super) struct Shared<'s>(pub &'s RefCell<Vec<u8>>);

impl io::Write for Shared<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is left to print.
enum Step {
    /// A list of nodes.
    List {
        node: u32,
        level: usize,
        is_inline: bool,
    },
    /// An arm of an `if`: a keyword and a list.
    Arm {
        keyword: &'static str,
        node: u32,
        level: usize,
    },
    Close,
}

impl<'s> Fold<'s> {
    /// `scratch` writes to `text`.
    pub fn new(text: &'s RefCell<Vec<u8>>, scratch: Sink<'s>) -> Self {
        let (nodes, waiting, frames, steps) = Default::default();
        Self { text, scratch, nodes, waiting, frames, steps }
    }

    /// Puts the instructions of a body.
    pub fn put_body<'a>(
        &mut self, code: &mut Code<'a>, sink: &mut Sink<'_>, module: &Module<'a>, function: u32,
        body: &mut Reader<'a>,
    ) -> Result<(), Fault> {
        if body.left() > BODY_MAX_BYTES {
            return code.put_body(sink, module, body);
        }
        let first = self.read(code, module, function, body)?;
        self.print(sink, module, first);
        Ok(())
    }

    /// Reads a body into the tree; the first node of the outermost list.
    fn read<'a>(
        &mut self, code: &mut Code<'a>, module: &Module<'a>, function: u32, body: &mut Reader<'a>,
    ) -> Result<u32, Fault> {
        let results = module.outline.signature_of_function(function).map(|s| s.result_count);
        self.scratch.restart();
        self.text.borrow_mut().clear();
        self.nodes.clear();
        self.waiting.clear();
        self.frames.clear();
        let label_arity = results.unwrap_or(0);
        self.frames.push(Frame { node: NONE, waiting: 0, label_arity, is_value: false });
        code.begin_body();
        let table = Table::get();
        while let Some(frame) = self.frames.last() {
            let at = body.position();
            let entry = table.decode(body)?;
            match entry.form {
                Form::End => {
                    let (node, from, is_value) = (frame.node, frame.waiting, frame.is_value);
                    let first = self.close_list(from);
                    self.frames.pop();
                    if self.frames.is_empty() {
                        self.scratch.write_out();
                        at_end(body)?;
                        return Ok(first);
                    }
                    code.end_label();
                    let closed = &mut self.nodes[node as usize];
                    match (closed.is_if, closed.has_else) {
                        (false, _) => closed.children = first,
                        (true, false) => closed.then = first,
                        (true, true) => closed.otherwise = first,
                    }
                    closed.is_value = is_value;
                    self.waiting.push(node);
                }
                Form::Else => {
                    let (node, from) = (frame.node, frame.waiting);
                    let first = self.close_list(from);
                    match self.nodes.get_mut(node as usize) {
                        Some(node) if node.is_if && !node.has_else => {
                            node.then = first;
                            node.has_else = true;
                        }
                        _ => return Err(Reader::fault(at, "`else` outside of an `if`")),
                    }
                }
                _ => self.read_instruction(code, module, entry, at, body)?,
            }
        }
        Ok(NONE)
    }

    fn read_instruction<'a>(
        &mut self, code: &mut Code<'a>, module: &Module<'a>, entry: &Entry, at: usize,
        body: &mut Reader<'a>,
    ) -> Result<(), Fault> {
        let immediates = *body;
        let start = self.scratch.position() as u32;
        code.put_instruction(&mut self.scratch, module, entry, body)?;
        let text = (start, self.scratch.position() as u32);
        let is_if = entry.opcode == Opcode::If;
        let is_block = entry.form == Form::Block || entry.opcode == Opcode::TryTable;
        let arity = if is_block {
            block_arity(&module.outline, immediates)
        } else if entry.pops == VARIES || entry.pushes == VARIES {
            self.arity(&module.outline, entry.opcode, immediates)
        } else {
            (u32::from(entry.pops), u32::from(entry.pushes))
        };
        let wanted = match (is_if, is_block) {
            (true, _) => 1,
            (false, true) => 0,
            (false, false) => arity.0,
        };
        let (children, children_bytes) = self.take_values(wanted);
        let node = self.nodes.len() as u32;
        let own_bytes = if is_block { u32::MAX } else { text.1 - text.0 + 3 };
        self.nodes.push(Node {
            text,
            inline_bytes: own_bytes.saturating_add(children_bytes),
            offset: at,
            children,
            then: NONE,
            otherwise: NONE,
            next: NONE,
            is_value: !is_block && arity.1 == 1,
            is_if,
            has_else: false,
        });
        if is_block {
            let label_arity = if entry.opcode == Opcode::Loop { arity.0 } else { arity.1 };
            let is_value = arity == (0, 1);
            let waiting = self.waiting.len();
            self.frames.push(Frame { node, waiting, label_arity, is_value });
        } else {
            self.waiting.push(node);
        }
        Ok(())
    }

    /// What an instruction takes and leaves where its immediates decide that.
    fn arity(&self, outline: &Outline<'_>, opcode: Opcode, immediates: Reader<'_>) -> (u32, u32) {
        let mut immediates = immediates;
        let mut number = || immediates.u32("an index").unwrap_or(u32::MAX);
        let label = |depth: u32| {
            let at = self.frames.len().checked_sub(depth as usize + 1);
            at.map_or(0, |at| self.frames[at].label_arity)
        };
        let signature = |index: u32| {
            let signature = outline.signature(index);
            signature.map_or((0, 0), |signature| (signature.param_count, signature.result_count))
        };
        match opcode {
            Opcode::Call | Opcode::ReturnCall => {
                let index = outline.function_types.get(number() as usize).copied();
                let (params, results) = signature(index.unwrap_or(u32::MAX));
                (params, if opcode == Opcode::Call { results } else { 0 })
            }
            Opcode::CallIndirect | Opcode::CallRef => {
                let (params, results) = signature(number());
                (params.saturating_add(1), results)
            }
            Opcode::ReturnCallIndirect | Opcode::ReturnCallRef => {
                (signature(number()).0.saturating_add(1), 0)
            }
            Opcode::Br => (label(number()), 0),
            Opcode::BrIf => {
                let arity = label(number());
                (arity.saturating_add(1), arity)
            }
            Opcode::BrTable => {
                let targets = number();
                (0..targets).for_each(|_| _ = number());
                (label(number()).saturating_add(1), 0)
            }
            Opcode::Return => (self.frames.first().map_or(0, |frame| frame.label_arity), 0),
            Opcode::Throw => {
                let index = outline.tag_types.get(number() as usize).copied();
                (signature(index.unwrap_or(u32::MAX)).0, 0)
            }
            _ => (0, 0),
        }
    }

    /// Takes up to `wanted` of the last values out of those that wait: as a list, and how long it
    /// is on one line.
    fn take_values(&mut self, wanted: u32) -> (u32, u32) {
        let from = self.frames.last().map_or(0, |frame| frame.waiting);
        let waiting = &self.waiting[from..];
        let count = waiting
            .iter()
            .rev()
            .take(wanted as usize)
            .take_while(|node| self.nodes[**node as usize].is_value)
            .count();
        let from = self.waiting.len() - count;
        let bytes = self.waiting[from..].iter().fold(0, |bytes: u32, node| {
            bytes.saturating_add(self.nodes[*node as usize].inline_bytes)
        });
        (self.close_list(from), bytes)
    }

    /// Makes a list of the nodes that wait from `from` on.
    fn close_list(&mut self, from: usize) -> u32 {
        let mut next = NONE;
        for node in self.waiting.drain(from..).rev() {
            self.nodes[node as usize].next = next;
            next = node;
        }
        next
    }

    /// Prints the tree.
    fn print(&mut self, sink: &mut Sink<'_>, module: &Module<'_>, first: u32) {
        let text = self.text.borrow();
        self.steps.clear();
        self.steps.push(Step::List { node: first, level: 2, is_inline: false });
        while let Some(step) = self.steps.pop() {
            match step {
                Step::Close => sink.put_byte(b')'),
                Step::List { node: NONE, .. } => {}
                Step::List { node: index, level, is_inline } => {
                    let node = &self.nodes[index as usize];
                    self.steps.push(Step::List { node: node.next, level, is_inline });
                    if is_inline {
                        sink.put_byte(b' ');
                    } else {
                        sink.new_line(level);
                    }
                    if module.options.offsets {
                        put_offset(sink, node.offset);
                    }
                    sink.put_byte(b'(');
                    let own = node.text.0 as usize..node.text.1 as usize;
                    sink.put_bytes(&text[own]);
                    self.steps.push(Step::Close);
                    let level = level + 1;
                    if node.has_else {
                        let (keyword, node) = ("(else", node.otherwise);
                        self.steps.push(Step::Arm { keyword, node, level });
                    }
                    if node.is_if {
                        let (keyword, node) = ("(then", node.then);
                        self.steps.push(Step::Arm { keyword, node, level });
                    }
                    let is_inline = self.is_short(node);
                    self.steps.push(Step::List { node: node.children, level, is_inline });
                }
                Step::Arm { keyword, node, level } => {
                    sink.new_line(level);
                    sink.put(keyword);
                    self.steps.push(Step::Close);
                    self.steps.push(Step::List { node, level: level + 1, is_inline: false });
                }
            }
        }
    }

    /// Whether what a node takes fits on its line.
    fn is_short(&self, node: &Node) -> bool {
        let own_bytes = node.text.1 - node.text.0;
        let operands_bytes = match node.is_if {
            true => self.nodes.get(node.children as usize).map_or(0, |node| node.inline_bytes),
            false => node.inline_bytes.saturating_sub(own_bytes),
        };
        operands_bytes <= INLINE_MAX_BYTES
    }
}

/// The parameters and results of a block, from the immediates of its instruction.
fn block_arity(outline: &Outline<'_>, mut immediates: Reader<'_>) -> (u32, u32) {
    match immediates.peek() {
        Some(0x40) => (0, 0),
        Some(code) if code < 0x80 && code & 0x40 != 0 => (0, 1),
        _ => {
            let index = immediates.signed(33, "a block type").unwrap_or(-1);
            let signature = u32::try_from(index).ok().and_then(|index| outline.signature(index));
            signature.map_or((0, 0), |signature| (signature.param_count, signature.result_count))
        }
    }
}
