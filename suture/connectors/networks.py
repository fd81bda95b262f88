"""What kind of network an IP address belongs to, so that nobody can send us into our own house.

https://www.iana.org/assignments/iana-ipv4-special-registry and https://www.iana.org/assignments/iana-ipv6-special-registry
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address

PUBLIC = "public"
PRIVATE = "private"  # this machine, the house's own networks: only for an origin that is listed by name
NEVER = "never"  # metadata services, link-local, multicast, reserved, addresses inside addresses: only when listed as written

_PRIVATE = (
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",  # RFC 1918
    "100.64.0.0/10",  # carrier-grade NAT
    "127.0.0.0/8", "::1/128",  # this machine
    "fc00::/7",  # unique local
)  # fmt: skip
_NEVER = (
    "0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
    "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    "2001::/23",  # protocol assignments with Teredo and ORCHID
    "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16",  # documentation, 6to4, segment routing
)  # fmt: skip
_METADATA = (
    "168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32", "fd00:ec2::254/128", "fd20:ce::254/128", "fd00:42::42/128",
)  # fmt: skip
_GLOBAL_UNICAST = IPv6Network(
    "2000::/3"
)  # everything else of IPv6 is not the public internet (mapped, NAT64, link-local …)


def _networks(*tables: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(text) for table in tables for text in table)


_FIRST = _networks(_METADATA, _NEVER)
_SECOND = _networks(_PRIVATE)


def kind(address: Address) -> str:
    """PUBLIC, PRIVATE or NEVER."""
    if any(address in network for network in _FIRST):
        return NEVER
    if any(address in network for network in _SECOND):
        return PRIVATE
    if isinstance(address, IPv6Address) and (address not in _GLOBAL_UNICAST or address.scope_id):
        return NEVER
    return PUBLIC


def read(text: str) -> Address | None:
    """The address a resolver gave; None when it is none."""
    try:
        return ip_address(text)
    except ValueError:
        return None
