//! The machine's addresses.

use std::{io, net::IpAddr};

use nix::{ifaddrs::getifaddrs, net::if_::InterfaceFlags};

/// Addresses of the interfaces that are up, loopback included, IPv4 first. Link-local ones are left out: a browser
/// can't use them without naming its own interface.
pub(crate) fn addresses() -> io::Result<Vec<IpAddr>> {
    let mut found: Vec<IpAddr> = getifaddrs()?
        .filter(|interface| interface.flags.contains(InterfaceFlags::IFF_UP))
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
        })
        .filter(|ip| match ip {
            IpAddr::V4(ip) => !ip.is_link_local(),
            IpAddr::V6(ip) => !ip.is_unicast_link_local(),
        })
        .collect();
    found.sort_by_key(|ip| (ip.is_ipv6(), ip.is_loopback()));
    found.dedup();
    Ok(found)
}

/// The first address by which another machine may reach this one.
pub(crate) fn outer_address() -> Option<IpAddr> {
    addresses().ok()?.into_iter().find(|ip| !ip.is_loopback())
}
