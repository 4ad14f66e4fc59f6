//! Listing directories.
//!
//! ```text
//! entry   0            8       16           20     24
//!         next cookie  inode   name length  kind   name
//! ```

use brant_engine::GuestMemory;

use crate::descriptor::Object;
use crate::errno::Errno;
use crate::kernel::{CallResult, Kernel, Stopped};
use crate::rights::Rights;

/// Size of an entry without its name.
const ENTRY_BYTES: usize = 24;

impl Kernel {
    /// `fd_readdir(fd, buf, buf_len, cookie, bufused)`: entries from `cookie` on, as many as fit;
    /// the last one may be cut off, which tells the guest that there are more.
    ///
    /// Errors: badf, notcapable, notdir, fault, and the host's. Spec: `fd_readdir`.
    pub(crate) fn fd_readdir(
        &mut self, memory: &mut GuestMemory<'_>, fd: u32, buf: u32, buf_len: u32, cookie: u64,
        bufused: u32,
    ) -> CallResult {
        if self.descriptors.get(fd)?.object != Object::Directory {
            return Err(Errno::NotDirectory.into());
        }
        let handle = self.descriptors.with_rights(fd, Rights::FD_READDIR)?.handle;
        memory.slice(u64::from(bufused), 4)?;
        let buffer = memory.slice_mut(u64::from(buf), u64::from(buf_len))?;
        let mut used = 0;
        let mut put = |bytes: &[u8]| {
            let count = bytes.len().min(buffer.len() - used);
            buffer[used..used + count].copy_from_slice(&bytes[..count]);
            used += count;
            count == bytes.len()
        };
        let listed = self.host.list(handle, cookie, &mut |entry| {
            let mut head = [0; ENTRY_BYTES];
            head[0..8].copy_from_slice(&entry.next_cookie.to_le_bytes());
            head[8..16].copy_from_slice(&entry.inode.to_le_bytes());
            head[16..20].copy_from_slice(&(entry.name.len() as u32).to_le_bytes());
            head[20] = entry.kind as u8;
            put(&head) && put(entry.name)
        });
        listed.map_err(Stopped::from)?;
        Ok(memory.write_u32(u64::from(bufused), used as u32)?)
    }
}
