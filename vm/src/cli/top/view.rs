//! What `brant top` shows, as a value: rows, their order, the chosen one; and how it is drawn.
//!
//! It knows no terminal and no clock: whoever has them gives rows and keys, and gets wishes.
//! Columns that matter less are left out where there is no room.

use std::cmp::Ordering;

use crate::cli::table::{Table, printable};
use crate::cli::units::show_bytes;

/// A line that is drawn, as wide as the terminal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    pub text: String,
    pub style: Style,
}

/// How a line looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    Plain,
    Title,
    Chosen,
}

/// A program.
#[derive(Clone, Debug)]
pub struct Row {
    pub id: u32,
    pub program: String,
    pub state: String,
    pub tier: String,
    pub threads: u64,
    pub memory_bytes: u64,
    pub cpu_percent: f64,
    pub uptime_ns: u64,
}

/// A key that means something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Key {
    Up,
    Down,
    Escape,
    Char(char),
}

/// What is to be done outside of the view.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// Nothing more is to be shown.
    End,
    /// This is to be done with a program.
    Steer(u32, Verb),
}

/// What is done with a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    Pause,
    Resume,
    Kill,
}

impl Verb {
    /// As it is said to a program.
    pub fn name(self) -> &'static str {
        match self {
            Verb::Pause => "pause",
            Verb::Resume => "resume",
            Verb::Kill => "kill",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Column {
    Id,
    State,
    Tier,
    Threads,
    Memory,
    Cpu,
    Uptime,
    Program,
}

impl Column {
    /// All of them, as they stand.
    const ALL: [Column; 8] = [
        Column::Id,
        Column::State,
        Column::Tier,
        Column::Threads,
        Column::Memory,
        Column::Cpu,
        Column::Uptime,
        Column::Program,
    ];

    /// Those that are left out where there is no room, the first one first.
    const BY_WORTH: [Column; 6] =
        [Column::Tier, Column::Threads, Column::Uptime, Column::Memory, Column::State, Column::Cpu];

    fn title(self) -> &'static str {
        match self {
            Column::Id => "id",
            Column::State => "state",
            Column::Tier => "tier",
            Column::Threads => "threads",
            Column::Memory => "memory",
            Column::Cpu => "cpu %",
            Column::Uptime => "uptime",
            Column::Program => "program",
        }
    }

    /// The key that sorts by it.
    fn key(self) -> Option<char> {
        match self {
            Column::Id => Some('i'),
            Column::State => Some('s'),
            Column::Tier => None,
            Column::Threads => Some('t'),
            Column::Memory => Some('m'),
            Column::Cpu => Some('c'),
            Column::Uptime => Some('u'),
            Column::Program => Some('n'),
        }
    }

    fn width(self) -> u16 {
        match self {
            Column::Id | Column::Cpu => 7,
            Column::State | Column::Threads => 9,
            Column::Tier => 6,
            Column::Memory => 10,
            Column::Uptime => 10,
            Column::Program => 8,
        }
    }

    fn cell(self, row: &Row) -> String {
        match self {
            Column::Id => row.id.to_string(),
            Column::State => printable(&row.state),
            Column::Tier => printable(&row.tier),
            Column::Threads => row.threads.to_string(),
            Column::Memory => show_bytes(row.memory_bytes),
            Column::Cpu => format!("{:.1}", row.cpu_percent),
            Column::Uptime => show_time(row.uptime_ns),
            Column::Program => printable(&row.program),
        }
    }

    fn compare(self, a: &Row, b: &Row) -> Ordering {
        match self {
            Column::Id => a.id.cmp(&b.id),
            Column::State => a.state.cmp(&b.state),
            Column::Tier => a.tier.cmp(&b.tier),
            Column::Threads => b.threads.cmp(&a.threads),
            Column::Memory => b.memory_bytes.cmp(&a.memory_bytes),
            Column::Cpu => b.cpu_percent.total_cmp(&a.cpu_percent),
            Column::Uptime => b.uptime_ns.cmp(&a.uptime_ns),
            Column::Program => a.program.cmp(&b.program),
        }
        .then(a.id.cmp(&b.id))
    }
}

/// A time as a person reads it.
fn show_time(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    match seconds {
        0..60 => format!("{:.1} s", ns as f64 / 1e9),
        60..3600 => format!("{}:{:02}", seconds / 60, seconds % 60),
        _ => format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
    }
}

/// What is shown.
#[derive(Debug)]
pub struct View {
    rows: Vec<Row>,
    by: Column,
    is_turned: bool,
    /// The program that is chosen: it stays so wherever it stands.
    chosen: Option<u32>,
    /// Somebody has to say once more that this one is to be killed.
    doomed: Option<u32>,
    message: String,
}

impl Default for View {
    fn default() -> View {
        View {
            rows: Vec::new(),
            by: Column::Cpu,
            is_turned: false,
            chosen: None,
            doomed: None,
            message: String::new(),
        }
    }
}

impl View {
    /// Takes new rows.
    pub fn take(&mut self, rows: Vec<Row>) {
        self.rows = rows;
        self.sort();
        let is_there = |id: u32| self.rows.iter().any(|row| row.id == id);
        if !self.chosen.is_some_and(is_there) {
            self.chosen = self.rows.first().map(|row| row.id);
        }
        if !self.doomed.is_none_or(is_there) {
            self.doomed = None;
        }
    }

    /// The rows in order.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Says something in the last line, until a key is pressed.
    pub fn say(&mut self, message: String) {
        self.message = message;
    }

    /// All rows as a table that is printed.
    pub fn table(&self) -> Table<8> {
        let mut table = Table::new(Column::ALL.map(Column::title));
        for row in &self.rows {
            table.row(Column::ALL.map(|column| column.cell(row)));
        }
        table
    }

    /// Does what a key means here, and says what it means outside.
    pub fn press(&mut self, key: Key) -> Option<Wish> {
        self.message.clear();
        if let Some(id) = self.doomed.take() {
            return (key == Key::Char('y')).then_some(Wish::Steer(id, Verb::Kill));
        }
        match key {
            Key::Up => self.choose(-1),
            Key::Down => self.choose(1),
            Key::Char('q') | Key::Escape => return Some(Wish::End),
            Key::Char('p') => return self.chosen.map(|id| Wish::Steer(id, Verb::Pause)),
            Key::Char('r') => return self.chosen.map(|id| Wish::Steer(id, Verb::Resume)),
            Key::Char('k') => self.doomed = self.chosen,
            Key::Char(letter) => {
                let column = Column::ALL.into_iter().find(|column| column.key() == Some(letter));
                self.sort_by(column?);
            }
        }
        None
    }

    fn sort_by(&mut self, column: Column) {
        self.is_turned = column == self.by && !self.is_turned;
        self.by = column;
        self.sort();
    }

    fn sort(&mut self) {
        let (by, is_turned) = (self.by, self.is_turned);
        self.rows.sort_by(|a, b| match is_turned {
            true => by.compare(b, a),
            false => by.compare(a, b),
        });
    }

    fn place(&self) -> usize {
        self.rows.iter().position(|row| Some(row.id) == self.chosen).unwrap_or(0)
    }

    fn choose(&mut self, step: isize) {
        let last = self.rows.len().saturating_sub(1);
        let place = self.place().saturating_add_signed(step).min(last);
        self.chosen = self.rows.get(place).map(|row| row.id);
    }

    /// The columns for which there is room.
    fn columns(width: u16) -> Vec<Column> {
        let mut columns = Column::ALL.to_vec();
        for least in Column::BY_WORTH {
            if columns.iter().map(|column| column.width()).sum::<u16>() <= width {
                break;
            }
            columns.retain(|column| *column != least);
        }
        columns
    }

    fn last_line(&self) -> String {
        match self.doomed {
            Some(id) => format!("kill {id}? y: yes, other keys: no"),
            None if !self.message.is_empty() => printable(&self.message),
            None => "p pause  r resume  k kill  i n s t m c u sort  q end".to_owned(),
        }
    }

    fn first_line(&self) -> String {
        let bytes: u64 = self.rows.iter().map(|row| row.memory_bytes).sum();
        let cpu: f64 = self.rows.iter().map(|row| row.cpu_percent).sum();
        let count = self.rows.len();
        let noun = if count == 1 { "program" } else { "programs" };
        format!("brant: {count} {noun}, {}, cpu {cpu:.1} %", show_bytes(bytes))
    }
}

impl View {
    /// The lines of a terminal of this size, none of them longer than it is wide.
    pub fn draw(&self, width: u16, height: u16) -> Vec<Line> {
        let columns = View::columns(width);
        let cells = |cell: &dyn Fn(Column) -> String| {
            let mut text = String::new();
            for column in &columns {
                let width = usize::from(column.width()) - 1;
                let mut cell = cell(*column);
                if *column != Column::Program && cell.chars().count() > width {
                    cell = cell.chars().take(width).collect();
                }
                text.push_str(&format!("{cell:width$} "));
            }
            text
        };
        let mut lines = Vec::new();
        let mut line = |text: String, style| {
            let wide = usize::from(width);
            let text = text.chars().take(wide).collect::<String>();
            lines.push(Line { text: format!("{text:wide$}"), style });
        };
        // The titles stay as long as there is room for a program below; then come the other lines.
        let (has_head, has_foot) = (height >= 3, height >= 4);
        if has_foot {
            line(self.first_line(), Style::Plain);
        }
        if has_head {
            line(cells(&|column| self.title(column)), Style::Title);
        }
        let room = usize::from(height - u16::from(has_head) - 2 * u16::from(has_foot));
        // The chosen one is always in sight.
        let first = (self.place() + 1).saturating_sub(room);
        let shown = self.rows.iter().skip(first).take(room);
        for row in shown.clone() {
            let is_chosen = Some(row.id) == self.chosen;
            let style = if is_chosen { Style::Chosen } else { Style::Plain };
            line(cells(&|column| column.cell(row)), style);
        }
        (shown.count()..room).for_each(|_| line(String::new(), Style::Plain));
        if has_foot {
            line(self.last_line(), Style::Plain);
        }
        lines
    }

    /// A title, with a mark where it is sorted by.
    fn title(&self, column: Column) -> String {
        let mark = match (column == self.by, self.is_turned) {
            (false, _) => "",
            (true, false) => "*",
            (true, true) => "^",
        };
        format!("{}{mark}", column.title())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: u32, program: &str, cpu_percent: f64, memory_bytes: u64) -> Row {
        Row {
            id,
            program: program.to_owned(),
            state: if id == 3 { "paused" } else { "running" }.to_owned(),
            tier: "auto".to_owned(),
            threads: u64::from(id),
            memory_bytes,
            cpu_percent,
            uptime_ns: u64::from(id) * 1_800_000_000_000,
        }
    }

    fn sample() -> View {
        let mut view = View::default();
        view.take(vec![
            row(1, "counter.wat", 0.1, 64 << 10),
            row(2, "evil\u{1b}[2J.wasm", 99.95, 1 << 30),
            row(3, "a-program-with-a-long-name.wasm", 12.0, 5 << 20),
        ]);
        view
    }

    fn drawn(view: &View, width: u16, height: u16) -> String {
        let lines = view.draw(width, height);
        assert_eq!(lines.len(), usize::from(height), "the whole terminal");
        let mut text = String::new();
        for line in lines {
            assert_eq!(line.text.chars().count(), usize::from(width));
            text.push_str(line.text.trim_end());
            text.push('\n');
        }
        text
    }

    #[test]
    fn all_columns_where_there_is_room() {
        let expected = "\
brant: 3 programs, 1.0 GiB, cpu 112.0 %
id     state    tier  threads  memory    cpu %* uptime    program
2      running  auto  2        1.0 GiB   100.0  1:00:00   evil\\u{1b}[2J.wasm
3      paused   auto  3        5.0 MiB   12.0   1:30:00   a-program-with-a-lon
1      running  auto  1        64 KiB    0.1    30:00     counter.wat

p pause  r resume  k kill  i n s t m c u sort  q end
";
        assert_eq!(drawn(&sample(), 78, 7), expected);
        let styles: Vec<Style> = sample().draw(78, 7).iter().map(|line| line.style).collect();
        assert_eq!(styles[..4], [Style::Plain, Style::Title, Style::Chosen, Style::Plain]);
    }

    #[test]
    fn small_terminals_show_what_matters_most() {
        let narrow = "\
brant: 3 programs, 1.0 GiB, cpu 11
id     state    cpu %* program
2      running  100.0  evil\\u{1b}[
3      paused   12.0   a-program-w
p pause  r resume  k kill  i n s t
";
        assert_eq!(drawn(&sample(), 34, 5), narrow);
        assert_eq!(drawn(&sample(), 34, 1), "2      running  100.0  evil\\u{1b}[\n");
        assert_eq!(drawn(&sample(), 1, 1), "2\n");
        assert_eq!(drawn(&sample(), 0, 0), "");
    }

    #[test]
    fn keys_sort_and_choose() {
        let mut view = sample();
        let ids = |view: &View| view.rows().iter().map(|row| row.id).collect::<Vec<_>>();
        assert_eq!(ids(&view), [2, 3, 1]);
        for (key, expected) in [
            ('c', [1, 3, 2]),
            ('i', [1, 2, 3]),
            ('i', [3, 2, 1]),
            ('m', [2, 3, 1]),
            ('n', [3, 1, 2]),
            ('u', [3, 2, 1]),
            ('x', [3, 2, 1]),
        ] {
            assert_eq!(view.press(Key::Char(key)), None);
            assert_eq!(ids(&view), expected, "{key}");
        }
        // The chosen one stays the chosen one.
        assert_eq!(view.press(Key::Char('p')), Some(Wish::Steer(2, Verb::Pause)));
        view.press(Key::Up);
        view.press(Key::Up);
        assert_eq!(view.press(Key::Char('r')), Some(Wish::Steer(3, Verb::Resume)));
        assert!(drawn(&view, 34, 3).contains("a-program"), "it is in sight");
    }

    #[test]
    fn who_kills_is_asked_once_more() {
        let mut view = sample();
        assert_eq!(view.press(Key::Char('k')), None);
        assert!(drawn(&view, 60, 5).contains("kill 2? y: yes"));
        assert_eq!(view.press(Key::Char('q')), None, "that meant no");
        view.press(Key::Char('k'));
        assert_eq!(view.press(Key::Char('y')), Some(Wish::Steer(2, Verb::Kill)));
        view.press(Key::Char('k'));
        view.take(Vec::new());
        assert_eq!(view.press(Key::Char('y')), None, "it has ended meanwhile");
        assert_eq!(view.press(Key::Char('k')), None);
        assert_eq!(view.press(Key::Char('q')), Some(Wish::End));
    }
}
