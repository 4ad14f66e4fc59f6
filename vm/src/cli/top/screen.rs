//! The terminal while it shows the live view. It is given back as it was: at the end, after a panic,
//! and when a signal ends this command.
//!
//! The view is lines that are written over each other, so that a handful of control sequences does.

use std::io::{self, Read, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use super::view::{Key, Style, View};

/// What the terminal was like while it shows the view; it is given back once.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// The other screen, without a cursor.
const OPEN: &str = "\x1b[?1049h\x1b[?25l";

/// The first screen, and the cursor.
const CLOSE: &str = "\x1b[?25h\x1b[?1049l";

/// A terminal that does not know its size.
const USUAL_SIZE: (u16, u16) = (80, 24);

/// The terminal, taken.
pub struct Screen(());

impl Screen {
    /// Takes the terminal.
    pub fn open() -> io::Result<Screen> {
        give_back_on_signals()?;
        give_back_on_panic();
        let before = tcgetattr(rustix::stdio::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        // From here on it is given back, whatever fails.
        let screen = Screen(());
        tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &raw)?;
        write_all(OPEN)?;
        Ok(screen)
    }

    /// Shows the view.
    pub fn draw(&mut self, view: &View) -> io::Result<()> {
        let size = tcgetwinsize(rustix::stdio::stdout());
        let size = size.map_or(USUAL_SIZE, |size| (size.ws_col, size.ws_row));
        let (width, height) = if size == (0, 0) { USUAL_SIZE } else { size };
        let mut text = String::new();
        for (place, line) in (1..).zip(view.draw(width, height)) {
            let style = match line.style {
                Style::Plain => "",
                Style::Title => "\x1b[1m",
                Style::Chosen => "\x1b[7m",
            };
            text.push_str(&format!("\x1b[{place};1H\x1b[0m{style}{}\x1b[0m", line.text));
        }
        write_all(&text)
    }

    /// The keys that are pressed within this time.
    pub fn keys(&mut self, patience: Duration) -> io::Result<Vec<Key>> {
        let patience = Timespec {
            tv_sec: patience.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: patience.subsec_nanos().into(),
        };
        let input = rustix::stdio::stdin();
        match poll(&mut [PollFd::new(&input, PollFlags::IN)], Some(&patience)) {
            Ok(0) => return Ok(Vec::new()),
            // A terminal that has changed its size is drawn anew.
            Err(rustix::io::Errno::INTR) => return Ok(Vec::new()),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut bytes = [0; 64];
        match io::stdin().read(&mut bytes)? {
            // Nobody is there any more.
            0 => Ok(vec![Key::Char('q')]),
            count => Ok(keys_of(&bytes[..count])),
        }
    }
}

/// The keys that a terminal has sent; what means nothing here is left out.
fn keys_of(bytes: &[u8]) -> Vec<Key> {
    /// Ctrl-C and Ctrl-D.
    const ENDS: [u8; 2] = [3, 4];
    const ESCAPE: u8 = 0x1b;
    let (mut keys, mut rest) = (Vec::new(), bytes);
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        match (first, behind) {
            (ESCAPE, [b'[' | b'O', sequence @ ..]) => {
                let length =
                    sequence.iter().position(|byte| byte.is_ascii_alphabetic() || *byte == b'~');
                let end = length.map_or(sequence.len(), |length| length + 1);
                match &sequence[..end] {
                    b"A" => keys.push(Key::Up),
                    b"B" => keys.push(Key::Down),
                    _ => {}
                }
                rest = &sequence[end..];
            }
            (ESCAPE, _) => keys.push(Key::Escape),
            (end, _) if ENDS.contains(&end) => keys.push(Key::Char('q')),
            (letter, _) if letter.is_ascii_graphic() => keys.push(Key::Char(letter.into())),
            _ => {}
        }
    }
    keys
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn write_all(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn give_back() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(before) = before {
        // A terminal that is gone needs nothing any more.
        let _ = write_all(CLOSE);
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &before);
    }
}

/// The report of a panic is for a terminal that shows lines.
fn give_back_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |report| {
        give_back();
        before(report);
    }));
}

fn give_back_on_signals() -> io::Result<()> {
    brant_engine::exit_on_termination();
    let (mut signals, pipe) = io::pipe()?;
    brant_engine::pass_termination_to(pipe.into());
    let end = move || {
        let mut number = [0];
        if signals.read_exact(&mut number).is_ok() {
            give_back();
            std::process::exit(128 + i32::from(number[0]));
        }
    };
    std::thread::Builder::new().name("brant-end".to_owned()).spawn(end).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_in_any_pieces() {
        let keys = keys_of(b"c\x1b[A\x1bOBq\x1b[5~\x03");
        let expected = [Key::Char('c'), Key::Up, Key::Down, Key::Char('q'), Key::Char('q')];
        assert_eq!(keys, expected);
        assert_eq!(keys_of(b"\x1b"), [Key::Escape]);
        assert_eq!(keys_of(b"\x1b["), []);
        assert_eq!(keys_of("ä\u{1}".as_bytes()), []);
    }
}
