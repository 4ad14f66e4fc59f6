//! Where a node listens: a socket of this host, or a port of the network.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Records have room for an address of this length; names of hosts have 253 bytes, and paths of
/// sockets 107.
const LIMIT_BYTES: usize = 500;

/// Where a node listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// A socket in the file system: `unix:PATH`. Who may open it is a matter of its folder.
    Unix(PathBuf),
    /// `HOST:PORT`, spoken to with TLS only.
    Tcp(String),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        if text.len() > LIMIT_BYTES {
            return Err("no address is that long".to_owned());
        }
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" => Err("`unix:` is followed by a path".to_owned()),
                path => Ok(Address::Unix(PathBuf::from(path))),
            };
        }
        let port = text.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        match port {
            Some(Ok(_)) => Ok(Address::Tcp(text.to_owned())),
            _ => Err("write `HOST:PORT` or `unix:PATH`".to_owned()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
            Address::Tcp(text) => f.write_str(text),
        }
    }
}

impl Address {
    /// The address as another program would have to write it, whose working directory is another.
    #[must_use]
    pub fn absolute(self) -> Address {
        match self {
            Address::Unix(path) => Address::Unix(std::path::absolute(&path).unwrap_or(path)),
            tcp => tcp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_socket_or_a_port() {
        let parse = |text: &str| text.parse::<Address>();
        assert_eq!(parse("unix:a/b"), Ok(Address::Unix("a/b".into())));
        assert_eq!(parse("localhost:7000"), Ok(Address::Tcp("localhost:7000".to_owned())));
        assert_eq!(parse("[::1]:7000"), Ok(Address::Tcp("[::1]:7000".to_owned())));
        for wrong in ["", "unix:", "localhost", "localhost:", "localhost:http", "a:70000"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
