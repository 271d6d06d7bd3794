//! Which addresses belong to the machine or its network: links of strangers may not lead there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ::url::{Host, Url};

/// Whether an address is not one of the public internet: loopback, private, link-local (cloud metadata among them), shared
/// (carrier NAT), unique local, multicast, documentation, benchmarking, reserved; and IPv6 addresses that stand for such an
/// IPv4 address (mapped, translated, tunnelled).
pub fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_private_v4(address),
        IpAddr::V6(address) => is_private_v6(address),
    }
}

/// Whether an address names a private host without any look-up: a literal address, or a name that is always the machine's own.
pub fn is_private_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_private_v4(address),
        Some(Host::Ipv6(address)) => is_private_v6(address),
        Some(Host::Domain(name)) => is_own_name(name),
        None => false,
    }
}

/// [`is_private_host`] for the host as it stands in a serialised address.
pub(crate) fn is_private_name(host: &str) -> bool {
    if let Some(literal) = host.strip_prefix('[') {
        return literal.strip_suffix(']').unwrap_or(literal).parse().is_ok_and(is_private_v6);
    }
    // A serialised host whose last label is a number is an IPv4 address; none other begins and ends with digits.
    if host.ends_with(|last: char| last.is_ascii_digit()) {
        if let Ok(address) = host.parse() {
            return is_private_v4(address);
        }
    }
    is_own_name(host)
}

/// RFC 6761: `localhost` and all names under it are the machine itself.
fn is_own_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

/// Source: IANA's registry of special-purpose IPv4 addresses.
fn is_private_v4(address: Ipv4Addr) -> bool {
    matches!(
        address.octets(),
        [0 | 10 | 127 | 224..=255, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [192, 168, ..]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
    )
}

/// Source: IANA's registry of special-purpose IPv6 addresses.
#[allow(clippy::match_same_arms, clippy::unnested_or_patterns, reason = "a line for each kind of address")]
fn is_private_v6(address: Ipv6Addr) -> bool {
    let embedded = |high: u16, low: u16| is_private_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match address.segments() {
        // Mapped, and translated by the well-known prefix: what the IPv4 address is.
        // 6to4 carries it behind the prefix.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            embedded(high, low)
        }
        // Unspecified, loopback, and the retired compatible addresses; mapped to be translated (SIIT).
        [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => true,
        // Local translation, discard only.
        [0x64, 0xff9b, 1, ..] | [0x100, 0, 0, 0, ..] => true,
        // Teredo, benchmarking, ORCHID; documentation; segment routing.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] | [0x5f00, ..] => true,
        // Unique local, link-local, site-local, multicast.
        [0xfc00..=0xfdff | 0xfe80..=0xffff, ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_known_in_every_spelling() {
        for text in [
            "127.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.127.255.255",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "192.0.2.1",
            "198.51.100.7",
            "203.0.113.9",
            "198.18.0.1",
            "192.0.0.192",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:c0a8:101::1",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
        ] {
            assert!(is_private(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn public_addresses_are_not_private() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "169.253.1.1",
            "192.0.1.1",
            "198.17.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "2002:808:808::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "fe00::1",
        ] {
            assert!(!is_private(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn hosts_are_judged_after_parsing() {
        for (text, expected) in [
            ("http://2130706433/", true),
            ("http://0x7f.1/", true),
            ("http://0177.0.0.1/", true),
            ("http://[::ffff:7f00:1]/", true),
            ("http://localhost/", true),
            ("http://a.LOCALHOST./", true),
            ("http://127.0.0.1.example.org/", false),
            ("http://example.org/", false),
            ("http://8.8.8.8:80/", false),
            ("http://localhost.example/", false),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!(is_private_host(&url), expected, "{text}");
            assert_eq!(is_private_name(url.host_str().unwrap()), expected, "{text}");
        }
    }
}
