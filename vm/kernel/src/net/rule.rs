//! Rules: who a process may call, what it may listen on, which names it may ask for.
//!
//! ```text
//! rule       = ["deny:"] access [":" where]
//! access     = "connect" | "listen" | "resolve"
//! where      = who [":" ports]               anybody and every port where it is left out
//! who        = address | range | name | "*"  127.0.0.1   10.0.0.0/8   [::1]   example.org   *.example.org
//! ports      = port | port "-" port | "*"
//! ```
//!
//! Nothing is allowed by itself. What a rule allows is allowed unless a rule denies it, whatever
//! their order.
//! A rule that lets a name be called lets it be asked for too, and the answers be called.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::fmt;
use std::str::FromStr;

use super::{LONGEST_NAME_BYTES, Names};

/// What a process does with the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// It calls others, or sends them messages.
    Connect,
    /// It takes an address of its own, where others can reach it.
    Listen,
    /// It asks for the addresses of a name.
    Resolve,
}

impl Access {
    const ALL: [(&'static str, Access); 3] =
        [("connect", Access::Connect), ("listen", Access::Listen), ("resolve", Access::Resolve)];
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetRule {
    denies: bool,
    access: Access,
    who: Who,
    ports: (u16, u16),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Who {
    Anybody,
    /// An address, of which so many bits count.
    Range(IpAddr, u8),
    /// A name in lower case.
    Name(String),
    /// The names below one.
    Below(String),
}

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetRuleError {
    rule: String,
    why: &'static str,
}

impl fmt::Display for NetRuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is no network rule: {}; write [deny:]connect|listen|resolve[:WHO[:PORTS]], such as \
             `connect:10.0.0.0/8:443`",
            self.rule, self.why
        )
    }
}

impl std::error::Error for NetRuleError {}

impl FromStr for NetRule {
    type Err = NetRuleError;

    fn from_str(rule: &str) -> Result<NetRule, NetRuleError> {
        parse(rule).map_err(|why| NetRuleError { rule: rule.to_owned(), why })
    }
}

fn parse(rule: &str) -> Result<NetRule, &'static str> {
    let (denies, rest) = match rule.strip_prefix("deny:") {
        Some(rest) => (true, rest),
        None => (false, rule),
    };
    let (access, place) = rest.split_once(':').map_or((rest, None), |(a, w)| (a, Some(w)));
    let known = Access::ALL.iter().find(|(name, _)| *name == access);
    let access = known.ok_or("it begins with no access that is known")?.1;
    let (who, ports) = match place {
        None => (Who::Anybody, None),
        Some(place) => {
            let (who, ports) = split_ports(place)?;
            (parse_who(who)?, ports)
        }
    };
    let is_name = matches!(who, Who::Name(_) | Who::Below(_));
    match access {
        Access::Listen if is_name => return Err("one listens on addresses, not on names"),
        Access::Resolve if matches!(who, Who::Range(..)) => return Err("an address is no name"),
        Access::Resolve if ports.is_some() => return Err("a name has no port"),
        _ => {}
    }
    let ports = ports.map_or(Ok((0, u16::MAX)), parse_ports)?;
    Ok(NetRule { denies, access, who, ports })
}

/// Cuts the ports off; the colons of an IPv6 address stand in brackets.
fn split_ports(place: &str) -> Result<(&str, Option<&str>), &'static str> {
    if let Some(rest) = place.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or("a bracket is not closed")?;
        return match rest.strip_prefix(':') {
            Some(ports) => Ok((address, Some(ports))),
            None if rest.is_empty() => Ok((address, None)),
            None => Err("something stands behind the bracket"),
        };
    }
    match place.split_once(':') {
        Some((_, ports)) if ports.contains(':') => Err("an IPv6 address stands in brackets"),
        Some((who, ports)) => Ok((who, Some(ports))),
        None => Ok((place, None)),
    }
}

fn parse_who(who: &str) -> Result<Who, &'static str> {
    if who == "*" {
        return Ok(Who::Anybody);
    }
    let (address, bits) = who.split_once('/').map_or((who, None), |(a, b)| (a, Some(b)));
    if let Ok(address) = address.parse::<IpAddr>() {
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).map_err(|_| "a range has a number of bits")?;
        return match bits <= most {
            true => Ok(Who::Range(address, bits)),
            false => Err("an address has fewer bits"),
        };
    }
    let below = who.strip_prefix("*.");
    let name = below.unwrap_or(who);
    let is_name = !name.is_empty()
        && name.len() <= LONGEST_NAME_BYTES
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    match (is_name, below) {
        (false, _) => Err("this is neither an address nor a name"),
        (true, None) => Ok(Who::Name(name.to_ascii_lowercase())),
        (true, Some(_)) => Ok(Who::Below(name.to_ascii_lowercase())),
    }
}

fn parse_ports(ports: &str) -> Result<(u16, u16), &'static str> {
    if ports == "*" {
        return Ok((0, u16::MAX));
    }
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) if first <= last => Ok((first, last)),
        _ => Err("ports are numbers up to 65535"),
    }
}

impl fmt::Display for NetRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.denies {
            f.write_str("deny:")?;
        }
        let name = Access::ALL.iter().find(|(_, access)| *access == self.access);
        f.write_str(name.map_or("", |(name, _)| name))?;
        let full = |address: &IpAddr| if address.is_ipv4() { 32 } else { 128 };
        match &self.who {
            Who::Anybody => f.write_str(":*")?,
            Who::Name(name) => write!(f, ":{name}")?,
            Who::Below(name) => write!(f, ":*.{name}")?,
            Who::Range(address, bits) => {
                let range = if *bits == full(address) { String::new() } else { format!("/{bits}") };
                match address {
                    IpAddr::V4(address) => write!(f, ":{address}{range}")?,
                    IpAddr::V6(address) => write!(f, ":[{address}{range}]")?,
                }
            }
        }
        match self.ports {
            _ if self.access == Access::Resolve => Ok(()),
            (0, u16::MAX) => Ok(()),
            (first, last) if first == last => write!(f, ":{first}"),
            (first, last) => write!(f, ":{first}-{last}"),
        }
    }
}

impl NetRule {
    /// Whether it speaks of this address; `names` are those under which it was found.
    fn covers(&self, address: SocketAddr, names: &Names) -> bool {
        let (first, last) = self.ports;
        (first..=last).contains(&address.port())
            && match &self.who {
                Who::Anybody => true,
                Who::Range(range, bits) => is_in(address.ip(), *range, *bits),
                Who::Name(_) | Who::Below(_) => names.of(address.ip()).any(|name| self.names(name)),
            }
    }

    /// Whether it speaks of this name.
    fn names(&self, name: &str) -> bool {
        match &self.who {
            Who::Anybody => true,
            Who::Range(..) => false,
            Who::Name(own) => name.eq_ignore_ascii_case(own),
            Who::Below(own) => {
                let name = name.to_ascii_lowercase();
                name.strip_suffix(own.as_str()).is_some_and(|rest| rest.ends_with('.'))
            }
        }
    }
}

fn is_in(address: IpAddr, range: IpAddr, bits: u8) -> bool {
    let differs = match (address, range.to_canonical()) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            // A range of addresses of IPv4 may be written as one of IPv6.
            let bits = if range.is_ipv6() { bits.saturating_sub(96) } else { bits };
            (a.to_bits() ^ b.to_bits()).leading_zeros() < u32::from(bits)
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            (a.to_bits() ^ b.to_bits()).leading_zeros() < u32::from(bits)
        }
        _ => true,
    };
    !differs
}

/// The rules of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetRules {
    rules: Vec<NetRule>,
}

impl NetRules {
    /// Adds a rule.
    pub fn add(&mut self, rule: NetRule) {
        self.rules.push(rule);
    }

    /// Whether nothing is allowed at all.
    pub fn is_empty(&self) -> bool {
        !self.rules.iter().any(|rule| !rule.denies)
    }

    /// All of them, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = &NetRule> {
        self.rules.iter()
    }

    /// Whether something is allowed of this kind, to anybody.
    pub fn allows_any(&self, access: Access) -> bool {
        self.rules.iter().any(|rule| !rule.denies && rule.access == access)
            || access == Access::Resolve
                && self.rules.iter().any(|rule| !rule.denies && rule.lets_resolve())
    }

    /// The ports on which something is allowed of this kind; `None` for every port.
    pub fn ports(&self, access: Access) -> Option<Vec<u16>> {
        /// More are not worth a rule each.
        const MOST: usize = 1024;
        let mut ports = Vec::new();
        for rule in self.rules.iter().filter(|rule| !rule.denies && rule.access == access) {
            let (first, last) = rule.ports;
            if usize::from(last - first) + ports.len() >= MOST {
                return None;
            }
            ports.extend(first..=last);
        }
        Some(ports)
    }

    /// Whether an address may be called, or listened on. `names` are what was asked for before.
    pub(crate) fn allow(&self, access: Access, address: SocketAddr, names: &Names) -> bool {
        let meant = SocketAddr::new(meant(access, address.ip()), address.port());
        self.decide(|rule| rule.access == access && rule.covers(meant, names))
    }

    /// Whether a name may be asked for.
    pub(crate) fn allow_name(&self, name: &str) -> bool {
        self.decide(|rule| match (rule.access, rule.denies) {
            (Access::Resolve, _) => rule.names(name),
            (Access::Connect, false) => rule.lets_resolve() && rule.names(name),
            _ => false,
        })
    }

    fn decide(&self, speaks: impl Fn(&NetRule) -> bool) -> bool {
        let mut spoken = self.rules.iter().filter(|rule| speaks(rule)).peekable();
        spoken.peek().is_some() && spoken.all(|rule| !rule.denies)
    }
}

impl NetRule {
    /// Whether names have to be asked for, so that it means something.
    fn lets_resolve(&self) -> bool {
        self.access == Access::Connect && matches!(self.who, Who::Name(_) | Who::Below(_))
    }
}

/// The address that is reached: IPv4 may be written as IPv6, and who calls nobody in particular
/// reaches this host.
fn meant(access: Access, address: IpAddr) -> IpAddr {
    match (access, address.to_canonical()) {
        (Access::Connect, IpAddr::V4(Ipv4Addr::UNSPECIFIED)) => Ipv4Addr::LOCALHOST.into(),
        (Access::Connect, IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => Ipv6Addr::LOCALHOST.into(),
        (_, address) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(texts: &[&str]) -> NetRules {
        let mut rules = NetRules::default();
        texts.iter().for_each(|text| rules.add(text.parse().expect("a rule")));
        rules
    }

    fn allow(rules: &NetRules, access: Access, address: &str) -> bool {
        rules.allow(access, address.parse().expect("an address"), &Names::default())
    }

    #[test]
    fn nothing_is_allowed_by_itself() {
        let none = NetRules::default();
        for access in [Access::Connect, Access::Listen] {
            assert!(!allow(&none, access, "127.0.0.1:80"));
        }
        assert!(!none.allow_name("example.org") && none.is_empty());
        assert!(rules(&["deny:connect"]).is_empty());
    }

    #[test]
    fn addresses_ranges_and_ports() {
        let of =
            rules(&["connect:10.0.0.0/8:443", "connect:[fd00::/8]", "listen:127.0.0.1:8000-8010"]);
        for (address, expected) in [
            ("10.255.0.1:443", true),
            ("10.0.0.1:444", false),
            ("11.0.0.1:443", false),
            ("[::ffff:10.1.2.3]:443", true),
            ("[::ffff:11.1.2.3]:443", false),
            ("[fdff::1]:1", true),
            ("[fe00::1]:1", false),
        ] {
            assert_eq!(allow(&of, Access::Connect, address), expected, "{address}");
        }
        for (address, expected) in [
            ("127.0.0.1:8000", true),
            ("127.0.0.1:8010", true),
            ("127.0.0.1:8011", false),
            ("0.0.0.0:8000", false),
            ("127.0.0.2:8000", false),
        ] {
            assert_eq!(allow(&of, Access::Listen, address), expected, "{address}");
        }
    }

    #[test]
    fn what_is_denied_is_denied_whatever_the_order() {
        for texts in
            [["connect", "deny:connect:169.254.0.0/16"], ["deny:connect:169.254.0.0/16", "connect"]]
        {
            let of = rules(&texts);
            assert!(allow(&of, Access::Connect, "1.2.3.4:80"));
            for address in ["169.254.169.254:80", "[::ffff:169.254.169.254]:80"] {
                assert!(!allow(&of, Access::Connect, address), "{address}");
            }
        }
        let of = rules(&["connect", "deny:connect:127.0.0.0/8"]);
        assert!(!allow(&of, Access::Connect, "0.0.0.0:80"), "nobody in particular is this host");
        let of = rules(&["connect", "deny:connect:[::ffff:0:0/96]"]);
        assert!(!allow(&of, Access::Connect, "1.2.3.4:80"), "all of IPv4, written as IPv6");
    }

    #[test]
    fn names_allow_what_they_were_found_to_be() {
        let of = rules(&["connect:*.example.org:443", "deny:resolve:bad.example.org"]);
        assert!(of.allow_name("www.Example.org") && !of.allow_name("example.org"));
        assert!(!of.allow_name("bad.example.org") && !of.allow_name("notexample.org"));
        let address: SocketAddr = "1.2.3.4:443".parse().expect("an address");
        let mut names = Names::default();
        assert!(!of.allow(Access::Connect, address, &names));
        names.learn("www.example.org", &[address.ip()]);
        assert!(of.allow(Access::Connect, address, &names));
        assert!(!of.allow(Access::Connect, SocketAddr::new(address.ip(), 80), &names));
    }

    #[test]
    fn rules_are_shown_as_they_are_read() {
        for text in [
            "connect:*",
            "deny:connect:10.0.0.0/8:443",
            "listen:[::1]:7-9",
            "resolve:*.example.org",
            "connect:[fd00::/8]",
        ] {
            assert_eq!(
                rules(&[text]).iter().next().map(ToString::to_string).as_deref(),
                Some(text)
            );
        }
        for wrong in [
            "",
            "speak",
            "connect:",
            "connect:1.2.3.4/33",
            "connect:::1",
            "connect:[::1",
            "listen:name:1",
            "resolve:1.2.3.4",
            "resolve:name:1",
            "connect:a b",
            "connect:1.2.3.4:70000",
            "connect:1.2.3.4:9-8",
            "connect:[::1]x",
            "deny:",
            "connect:1.2.3.4/x",
        ] {
            let error = wrong.parse::<NetRule>().expect_err(wrong).to_string();
            assert!(error.contains("write [deny:]connect"), "{error}");
        }
    }
}
