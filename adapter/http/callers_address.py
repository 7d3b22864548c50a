"""The address that a request comes from, in the one form in which logs and comparisons have it."""

import ipaddress


def plain_address(text: str) -> str | None:
    """The address, or None if the text is none: it may be a caller's own words.

    A socket that takes IPv4 and IPv6 shows the former as ::ffff:192.0.2.1, and link-local ones with the interface.
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)
