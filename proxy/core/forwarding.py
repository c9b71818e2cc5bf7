"""What a request says of the way that it has come: X-Forwarded-*, as users of nginx know them, and Via.

kube-apiserver writes X-Forwarded-For and X-Real-Ip, unverified, into `sourceIPs` of its audit log (apimachinery's
SourceIPs), so what a client claims of itself ends here unless the client is a proxy that the settings trust.
"""

from dataclasses import dataclass

from proxy.core.headers import Lines, via

CLAIMS = frozenset({b"forwarded", b"x-real-ip"})
CLAIM_PREFIX = b"x-forwarded-"


@dataclass(frozen=True, slots=True)
class Hop:
    """How requests come in: from which address, by which scheme, and whether earlier hops are believed."""

    address: bytes
    scheme: bytes
    is_trusted: bool = False


def forward(lines: Lines, hop: Hop, *, host: bytes, version: bytes) -> Lines:
    """Return a request's lines with what is known of the way to here.

    `host` is what the client has called us, `version` the HTTP that it speaks. A trusted proxy's X-Forwarded-For is
    appended to, in one line, as Go's Header.Get sees the first alone; its -Proto and -Host, which tell of the first
    hop, stay, and so does whatever else it says.
    """
    before: list[bytes] = []
    told: set[bytes] = set()
    kept: Lines = []
    for name, value in lines:
        key = name.lower()
        if is_claim(key) and not hop.is_trusted:
            continue
        if key == b"x-forwarded-for":
            before.append(value)
            continue
        told.add(key)
        kept.append((name, value))
    addresses = b", ".join(filter(None, (*before, hop.address)))
    for name, value in (
        (b"X-Forwarded-For", addresses),
        (b"X-Forwarded-Proto", hop.scheme),
        (b"X-Forwarded-Host", host),
    ):
        if value and name.lower() not in told:
            kept.append((name, value))
    kept.append(via(version))
    return kept


def origin(lines: Lines, hop: Hop) -> bytes:
    """Return the address that a request came from: who connects, or whom a trusted proxy names, last of all."""
    if not hop.is_trusted:
        return hop.address
    claims = [value for name, value in lines if name.lower() == b"x-forwarded-for"]
    return b",".join(claims).rpartition(b",")[2].strip() or hop.address


def is_claim(name: bytes) -> bool:
    """Whether a line (its name in lower case) tells of the hops before."""
    return name.startswith(CLAIM_PREFIX) or name in CLAIMS
