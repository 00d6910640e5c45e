"""Which addresses may be connected to: public ones, unless others are allowed.

A host's name is resolved once, every address it has is checked, and the connection is
made to a checked address: a name that resolves differently a moment later (DNS
rebinding) changes nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

from acav_spark.errors import MediaError
from acav_spark.media import codes

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# A gateway translates these to the address of IPv4 that is in their last bits.
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


def checked_addresses(
    host: str, port: int, *, allow_private: bool, name: str
) -> list[str]:
    """Return the addresses of a host, all of which may be connected to.

    Parameters
    ----------
    host : str
        A name, or an address in any notation that the system takes.
    port : int
        Where to connect.
    allow_private : bool
        Whether private, loopback and other special addresses are allowed.
    name : str
        The source, for messages.

    Raises
    ------
    MediaError
        ``host_not_found``, or ``address_not_allowed`` if one of them is not public.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        message = f"{name!r}: the host {host!r} has no address ({error})"
        raise MediaError(codes.HOST_NOT_FOUND, message, is_permanent=False) from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not allow_private:
        for address in addresses:
            _require_public(address, host, name)
    return addresses


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet.

    Not public are private, loopback, link-local, shared, multicast, reserved and
    unspecified addresses (the registries of RFC 6890), and those of IPv6 that lead to
    such a one of IPv4.
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address.sixtofour is not None and not is_public(address.sixtofour):
            return False
    is_special = address.is_multicast or address.is_reserved or address.is_link_local
    return address.is_global and not is_special


def _require_public(address: str, host: str, name: str) -> None:
    # A zone (fe80::1%eth0) is no part of the address.
    if is_public(ipaddress.ip_address(address.partition("%")[0])):
        return
    message = (
        f"{name!r}: expected a public address, but {host!r} is at {address}. Set "
        "input.allow_private_addresses to read from inside your own network"
    )
    raise MediaError(codes.ADDRESS_NOT_ALLOWED, message)
