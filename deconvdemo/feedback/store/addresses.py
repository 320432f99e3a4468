"""Whom an address stands for where visitors are counted: one of IPv6 has as many addresses as they like."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

VISITOR = {4: 32, 6: 64}  # bits that are one visitor's: an IPv6 customer has a /64 at least
NETWORK = {4: 16, 6: 32}  # bits that are one provider's, or one company's


def parsed(address: str) -> IPv4Address | IPv6Address | None:
    """Of `203.0.113.7`, also with a port or written as IPv6 (`::ffff:203.0.113.7`); None for what is no address."""
    text = address.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def visitor_of(address: str) -> str:
    """What one visitor is counted by: IPv4's address, IPv6's /64; other texts as they are."""
    return _within(address, VISITOR)


def network_of(address: str) -> str:
    """The larger network that an address is of."""
    return _within(address, NETWORK)


def _within(address: str, bits: dict[int, int]) -> str:
    found = parsed(address)
    return address if found is None else str(ip_network((found, bits[found.version]), strict=False))
