"""Who is at the other end of a client's connection, as far as the connection itself tells."""

import asyncio
import hashlib
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from proxy.core.forwarding import Hop
from proxy.core.users import User, user_of


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection. `user` is whom its certificate names, where one was verified."""

    hop: Hop
    user: User | None = None


class Introductions:
    """Tells who connects. Members of `trusted_proxies` (networks) are believed in what they say of earlier hops."""

    def __init__(self, trusted_proxies: Iterable[str] = ()) -> None:
        self._trusted = [ip_network(network, strict=False) for network in trusted_proxies]

    def introduce(self, transport: asyncio.BaseTransport) -> Peer:
        """Return the peer of a connection that has just been made, its handshake included."""
        address = _address_in(transport.get_extra_info("peername"))
        is_trusted = address is not None and any(address in network for network in self._trusted)
        handshake = transport.get_extra_info("ssl_object")
        scheme = b"https" if handshake is not None else b"http"
        certificate = handshake.getpeercert() if handshake is not None else None  # empty where it was not verified
        user = None
        if certificate:
            user = user_of(certificate, hashlib.sha256(handshake.getpeercert(binary_form=True)).hexdigest())
        return Peer(Hop(str(address or "").encode(), scheme, is_trusted), user)


def address_of(sock: socket.socket) -> str:
    """Return the address at the other end of a socket, nothing where it has gone already."""
    try:
        return str(_address_in(sock.getpeername()) or "")
    except OSError:
        return ""


def _address_in(name: object) -> IPv4Address | IPv6Address | None:
    if not isinstance(name, tuple):
        return None
    address = ip_address(name[0].partition("%")[0])  # a zone means something on this host alone
    return getattr(address, "ipv4_mapped", None) or address
