"""Where a request came from, as it is counted: one IPv4 address, or the /64 of an IPv6 one, which one person has (RFC 6177)."""

from __future__ import annotations

from ipaddress import ip_address, ip_network


def network(address: str) -> str:
    """The place of an address; `unknown` for none."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if found.version == 6 and found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(found) if found.version == 4 else str(ip_network(f"{found}/64", strict=False))
