//! Names: the system's own resolver, asked on threads of its own, because it waits.

use std::net::{IpAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;

use brant_kernel::errno::Errno;
use brant_kernel::host::{Answer, Handle};
use brant_kernel::net::Resolution;
use rustix::event::EventfdFlags;

use super::super::errno::errno;
use super::super::object::{Object, Objects};

/// Questions that are asked at a time, and answers that nobody has fetched.
const MOST_QUESTIONS: usize = 16;
/// Addresses of one name.
const MOST_ADDRESSES: usize = 64;

/// The questions of a host.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    asked: Vec<Question>,
}

#[derive(Debug)]
struct Question {
    name: String,
    /// Can be read when there is an answer.
    bell: Handle,
    answer: Arc<Mutex<Option<Answer<Vec<IpAddr>>>>>,
}

impl Questions {
    /// Asks, or looks whether there is an answer; see `Net::resolve`.
    pub(super) fn ask(&mut self, objects: &mut Objects, name: &str) -> Answer<Resolution> {
        let Some(index) = self.asked.iter().position(|question| question.name == name) else {
            return self.begin(objects, name);
        };
        let question = &self.asked[index];
        let answer = question.answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(answer) = answer else { return Ok(Resolution::Waits(question.bell)) };
        self.forget(objects, index);
        answer.map(Resolution::Found)
    }

    fn begin(&mut self, objects: &mut Objects, name: &str) -> Answer<Resolution> {
        if self.asked.len() >= MOST_QUESTIONS {
            let answered = |question: &Question| {
                question.answer.lock().unwrap_or_else(PoisonError::into_inner).is_some()
            };
            // Whoever asked has gone on to something else.
            let stale = self.asked.iter().position(answered).ok_or(Errno::Again)?;
            self.forget(objects, stale);
        }
        let flags = EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC;
        let bell = rustix::event::eventfd(0, flags).map_err(errno)?;
        let rope = bell.try_clone().map_err(|_| Errno::TooManyFiles)?;
        let answer = Arc::new(Mutex::new(None));
        let question = (name.to_owned(), answer.clone());
        let asker = Builder::new().name("brant-resolver".to_owned());
        asker.spawn(move || find(&question.0, &question.1, &rope)).map_err(|_| Errno::Again)?;
        let bell = objects.insert(Object::Bell(bell))?;
        self.asked.push(Question { name: name.to_owned(), bell, answer });
        Ok(Resolution::Waits(bell))
    }

    fn forget(&mut self, objects: &mut Objects, index: usize) {
        let question = self.asked.swap_remove(index);
        // Nobody but this list knows the number.
        let _ = objects.remove(question.bell);
    }
}

/// Asks the system, and rings.
fn find(name: &str, answer: &Mutex<Option<Answer<Vec<IpAddr>>>>, bell: &OwnedFd) {
    // The system does not say which of its many reasons are for good.
    let found = (name, 0).to_socket_addrs().map_err(|_| Errno::NoEntry);
    let found = found.map(|all| {
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in all.map(|address| address.ip()) {
            if addresses.len() < MOST_ADDRESSES && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    });
    *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
    let _ = rustix::io::write(bell, &1_u64.to_ne_bytes());
}
