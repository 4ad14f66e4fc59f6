//! Names of sockets that stay on their host when their process leaves.
//!
//! Whoever keeps such sockets speaks for the process to those who call, and passes on what is said by
//! numbers of bytes: a *lane* for each connection, a *door* for each listener.

/// Which lane or door: no other one has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId {
    /// Who keeps it.
    pub keeper: [u8; 16],
    /// Its number there.
    pub number: u64,
}

/// What a socket is that another host speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LaneKind {
    /// A connection.
    Lane,
    /// A listener.
    Door,
}

/// The name by which another host takes a socket over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LaneName {
    /// What it is.
    pub kind: LaneKind,
    /// Which one.
    pub id: LaneId,
}

impl LaneName {
    /// Its bytes: 1 for a lane or 2 for a door, the keeper, the number (little-endian).
    pub fn to_bytes(self) -> Vec<u8> {
        let kind = match self.kind {
            LaneKind::Lane => 1,
            LaneKind::Door => 2,
        };
        [&[kind][..], &self.id.keeper, &self.id.number.to_le_bytes()].concat()
    }

    /// The name of these bytes, if they are one.
    pub fn from_bytes(bytes: &[u8]) -> Option<LaneName> {
        let (&kind, rest) = bytes.split_first()?;
        let (keeper, number) = rest.split_first_chunk::<16>()?;
        let kind = match kind {
            1 => LaneKind::Lane,
            2 => LaneKind::Door,
            _ => return None,
        };
        let id = LaneId { keeper: *keeper, number: u64::from_le_bytes(number.try_into().ok()?) };
        Some(LaneName { kind, id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_its_bytes_and_nothing_else_is_one() {
        let id = LaneId { keeper: [7; 16], number: 1 << 40 };
        for kind in [LaneKind::Lane, LaneKind::Door] {
            let bytes = LaneName { kind, id }.to_bytes();
            assert_eq!(LaneName::from_bytes(&bytes), Some(LaneName { kind, id }));
            assert_eq!(LaneName::from_bytes(&bytes[..24]), None);
            assert_eq!(LaneName::from_bytes(&[&bytes[..], &[0]].concat()), None);
        }
        assert_eq!(LaneName::from_bytes(&[3; 25]), None);
        assert_eq!(LaneName::from_bytes(&[]), None);
    }
}
