//! Addresses.

use super::number;

/// A URL with a scheme and `://`, by the shape that RFC 3986 gives it; characters that it wants
/// percent-encoded are refused if they are blanks, control characters or quotes, and let pass
/// otherwise, as passwords in the addresses of databases have them.
pub(super) fn is_url(value: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(value) else { return false };
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, behind) = rest.split_at(end);
    let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
    // `file:///path`, and sockets of databases, have no host; nothing at all leads nowhere.
    let has_place = !hosts.is_empty() || behind.len() > 1;
    is_scheme(scheme) && has_place && rest.chars().all(may_stand) && escapes_are_right(rest) && are_hosts(hosts)
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

fn may_stand(character: char) -> bool {
    !character.is_whitespace() && !character.is_control() && !matches!(character, '"' | '<' | '>' | '`')
}

fn escapes_are_right(text: &str) -> bool {
    text.split('%').skip(1).all(|behind| {
        let digits = behind.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// `host`, `host:port`, `[v6]:port`, or several of them with commas between, as clusters have.
fn are_hosts(hosts: &str) -> bool {
    hosts.is_empty() || hosts.split(',').all(is_host)
}

fn is_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let Some((address, port)) = rest.split_once(']') else { return false };
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            match (port, port.strip_prefix(':')) {
                ("", _) => return true,
                (_, Some(port)) => (address, Some(port)),
                _ => return false,
            }
        }
        None => host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port))),
    };
    // An empty port is allowed, and means the usual one.
    !name.is_empty() && port.is_none_or(|port| port.is_empty() || number::is_port(port.as_bytes()))
}

/// An address as the HTML standard defines a valid one: no quotes, no comments, ASCII.
pub(super) fn is_email(value: &[u8]) -> bool {
    let Some(at) = value.iter().rposition(|byte| *byte == b'@') else { return false };
    let (local, domain) = (&value[..at], &value[at + 1..]);
    !local.is_empty()
        && local.iter().all(|byte| may_stand_before_at(*byte))
        && domain.split(|b| *b == b'.').all(is_label)
}

fn may_stand_before_at(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte)
}

fn is_label(label: &[u8]) -> bool {
    let ends = [label.first(), label.last()];
    label.len() <= 63
        && ends.iter().all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
        && label.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}
