//! The loopback address through which Envoy, consul-dataplane and the app connect.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Whether a pod's IPv4 or IPv6 addresses are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Addresses {
    pub dual_stack: bool,
}

impl Addresses {
    pub fn loopback(self) -> IpAddr {
        if self.dual_stack { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() }
    }

    /// A URL of the pod itself, without a path.
    pub fn url(self, port: u16) -> String {
        format!("http://{}", SocketAddr::new(self.loopback(), port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_has_brackets_in_a_url() {
        assert_eq!(Addresses { dual_stack: false }.url(8080), "http://127.0.0.1:8080");
        assert_eq!(Addresses { dual_stack: true }.url(8080), "http://[::1]:8080");
    }
}
