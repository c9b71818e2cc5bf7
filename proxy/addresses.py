"""How addresses are written: ``host:port``, an upstream's URL, and which of them only this machine reaches."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

USERINFO = re.compile(r"//.*@")


def split_address(text: str) -> tuple[str, int]:
    """Split ``host:port``, ``[::1]:port`` or ``:port`` (all interfaces). Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 0xFFFF:
        raise ValueError(f"expected host:port, got {text!r}")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 (asked for by leaving the host out)


def check_url(text: str) -> None:
    """Raise ValueError unless `text` is the URL of an upstream: http or https, a host, perhaps a path."""
    url = urlsplit(text)
    if url.scheme not in ("http", "https") or not url.hostname or url.port == 0:
        raise ValueError("not the URL of an upstream")
    if url.query or url.fragment or url.username:
        raise ValueError("not the URL of an upstream alone")


def shown(url: str) -> str:
    """Return a URL as an error may show it: without a password that somebody has put in."""
    return USERINFO.sub("//...@", url)


def is_loopback(host: str) -> bool:
    """Whether only this machine (or Pod) can reach a listener on `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
