//! Templates in addresses, which stand for addresses of this machine: `{{ GetPrivateIP }}:8200`.
//!
//! Of the functions that Vault fills in there, those that its guides use, without pipes: the rest is
//! refused by name. They are filled in once, when the configuration is read.

use ipnet::IpNet;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use std::net::IpAddr;

/// Where the kernel tells its routes of IPv4.
const ROUTES: &str = "/proc/net/route";

const KNOWN: &str =
    "`{{ GetPrivateIP }}`, `{{ GetPublicIP }}` and `{{ GetInterfaceIP \"eth0\" }}` are filled in";

/// An address of an interface of this machine.
#[derive(Debug, Clone)]
struct Own {
    interface: String,
    /// The address, with the length of its network's prefix.
    address: IpNet,
}

/// The addresses of this machine.
struct Machine {
    addresses: Vec<Own>,
    /// The interface of the default route.
    default: Option<String>,
}

/// The text with its templates filled in; else why that cannot be, for a message.
pub(crate) fn fill_in(text: &str) -> Result<String, String> {
    if !text.contains("{{") {
        return Ok(text.to_owned());
    }
    Machine::this()?.fill_in(text)
}

impl Machine {
    fn this() -> Result<Self, String> {
        let failed = |error| format!("the addresses of this machine cannot be read: {error}");
        let all = getifaddrs().map_err(failed)?;
        let up = all.filter(|one| one.flags.contains(InterfaceFlags::IFF_UP));
        let addresses = up.filter_map(|one| {
            let ip_of = |socket: Option<nix::sys::socket::SockaddrStorage>| {
                let socket = socket?;
                let v4 = socket.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
                v4.or_else(|| socket.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
            };
            let (ip, mask) = (ip_of(one.address)?, ip_of(one.netmask)?);
            Some(Own {
                address: IpNet::with_netmask(ip, mask).ok()?,
                interface: one.interface_name,
            })
        });
        Ok(Self {
            addresses: addresses.collect(),
            default: default_interface(&std::fs::read_to_string(ROUTES).unwrap_or_default()),
        })
    }

    fn fill_in(&self, text: &str) -> Result<String, String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, template)) = rest.split_once("{{") {
            let (template, behind) = template
                .split_once("}}")
                .ok_or_else(|| "a template is not closed by `}}`".to_owned())?;
            filled.push_str(before);
            let ip = self.value_of(template.trim())?;
            match ip {
                // A colon behind it begins the port.
                IpAddr::V6(v6) if behind.starts_with(':') && !before.ends_with('[') => {
                    filled.push_str(&format!("[{v6}]"));
                }
                ip => filled.push_str(&ip.to_string()),
            }
            rest = behind;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn value_of(&self, template: &str) -> Result<IpAddr, String> {
        let words: Vec<&str> = template.split_whitespace().collect();
        let found = match words.as_slice() {
            ["GetPrivateIP"] => self.first(|own| self.is_default(own) && is_private(own)),
            ["GetPublicIP"] => self.first(|own| self.is_default(own) && !is_private(own)),
            ["GetInterfaceIP", name] => {
                let name = name.trim_matches(['"', '`']);
                self.first(|own| own.interface == name)
            }
            _ => return Err(format!("`{template}` is not known: {KNOWN}")),
        };
        found.ok_or_else(|| format!("this machine has no address for `{template}`"))
    }

    fn is_default(&self, own: &Own) -> bool {
        Some(&own.interface) == self.default.as_ref()
    }

    /// IPv4 before IPv6, then the largest network, as Vault sorts them.
    fn first(&self, wanted: impl Fn(&Own) -> bool) -> Option<IpAddr> {
        let found = self.addresses.iter().filter(|own| wanted(own));
        let rank = |own: &&Own| (own.address.addr().is_ipv6(), own.address.prefix_len());
        found.min_by_key(rank).map(|own| own.address.addr())
    }
}

/// Addresses that are not routed in the Internet (RFC 6890).
fn is_private(own: &Own) -> bool {
    match own.address.addr() {
        IpAddr::V4(v4) => {
            let shared = v4.octets().first() == Some(&100)
                && v4
                    .octets()
                    .get(1)
                    .is_some_and(|byte| (64..128).contains(byte));
            v4.is_private() || v4.is_link_local() || v4.is_loopback() || shared
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback(),
    }
}

/// The interface of the first default route.
fn default_interface(routes: &str) -> Option<String> {
    let mut lines = routes.lines().skip(1).map(str::split_whitespace);
    lines.find_map(|mut fields| {
        let (name, destination) = (fields.next()?, fields.next()?);
        (destination == "00000000").then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        let own = |interface: &str, address: &str| Own {
            interface: interface.to_owned(),
            address: address.parse().unwrap(),
        };
        Machine {
            addresses: vec![
                own("lo", "127.0.0.1/8"),
                own("eth0", "fd00::2/64"),
                own("eth0", "192.168.1.5/24"),
                own("eth0", "10.1.2.3/8"),
                own("eth0", "203.0.113.9/24"),
                own("eth1", "172.16.0.9/16"),
                own("wg0", "fd01::9/64"),
            ],
            default: default_interface(
                "Iface\tDestination\tGateway\neth1\t0000A8C0\t0\neth0\t00000000\t010200C0\n",
            ),
        }
    }

    #[test]
    fn templates_stand_for_addresses_of_this_machine() {
        for (text, filled) in [
            ("{{ GetPrivateIP }}:8200", "10.1.2.3:8200"),
            ("https://{{GetPublicIP}}:8200", "https://203.0.113.9:8200"),
            ("{{ GetInterfaceIP \"eth1\" }}:8200", "172.16.0.9:8200"),
            ("{{ GetInterfaceIP \"wg0\" }}:8200", "[fd01::9]:8200"),
            ("[{{ GetInterfaceIP `wg0` }}]:8200", "[fd01::9]:8200"),
            (
                "{{ GetInterfaceIP \"lo\" }}:{{ GetInterfaceIP \"lo\" }}",
                "127.0.0.1:127.0.0.1",
            ),
        ] {
            assert_eq!(machine().fill_in(text).unwrap(), filled, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_filled_in_says_why() {
        for (text, why) in [
            ("{{ GetPrivateIP :8200", "a template is not closed by `}}`"),
            (
                "{{ GetInterfaceIP \"eth7\" }}",
                "this machine has no address for `GetInterfaceIP \"eth7\"`",
            ),
            (
                "{{ GetAllInterfaces | limit 1 }}",
                "`GetAllInterfaces | limit 1` is not known: ",
            ),
            ("{{ }}", "`` is not known: "),
        ] {
            let said = machine().fill_in(text).unwrap_err();
            assert!(said.starts_with(why), "{said}");
        }
        let alone = Machine {
            default: None,
            ..machine()
        };
        assert!(alone.fill_in("{{ GetPrivateIP }}").is_err());
    }

    #[test]
    fn the_kernel_tells_the_addresses() {
        let loopback = fill_in("{{ GetInterfaceIP \"lo\" }}:8200").unwrap();
        assert_eq!(loopback, "127.0.0.1:8200");
    }
}
