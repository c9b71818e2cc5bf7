"""Requests for another protocol on their connection (RFC 9110, section 7.8), and which of them are passed on."""

from proxy.core.headers import Lines, values
from proxy.core.request import is_upgrade

HTTP_AGAIN = ("h2", "http", "tls")
"""How the names of protocols begin that are never granted: h2c, TLS/1.0 and the like carry HTTP once more.

Requests inside such a tunnel would pass every rule by (credentials that are stripped, Lists that are planned), with
what the upstream's connection may do. RFC 9113, section 3.1, has made h2c obsolete.
"""


def protocols(lines: Lines) -> frozenset[str]:
    """Return the protocols that a message's Upgrade lines name, in lower case as RFC 9110 compares them."""
    tokens = ",".join(values(lines, b"upgrade")).split(",")
    return frozenset(token.strip().lower() for token in tokens) - {""}


def is_wanted(lines: Lines) -> bool:
    """Whether a request is one for an upgrade, by the apiserver's own rule; one for HTTP again is a plain request."""
    return is_upgrade(values(lines, b"connection")) and not _is_http_again(protocols(lines))


def is_handshake(lines: Lines) -> bool:
    """Whether a request is passed on with what it says of the upgrade."""
    return is_wanted(lines) and bool(protocols(lines))


def is_granted(asked: Lines, answered: Lines) -> bool:
    """Whether a 101 switches to what was asked for; anything else would be a protocol that nobody has agreed to."""
    granted = protocols(answered)
    return bool(granted) and granted <= protocols(asked)


def _is_http_again(names: frozenset[str]) -> bool:
    return any(name.startswith(HTTP_AGAIN) for name in names)
