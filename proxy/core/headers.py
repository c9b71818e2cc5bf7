"""Header lines on their way through: an ordered list of pairs, never a dict.

``Impersonate-Group``, ``Warning`` and others are repeated lines whose order and spelling must survive; names keep the
case in which they were written and are compared in lower case.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

Lines = list[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""RFC 9110, section 7.6.1, with the obsolete ones that Go's ReverseProxy drops too, and h2c's (RFC 7540, 3.2.1)."""

HANDSHAKE = frozenset({b"connection", b"upgrade"})
"""Of these what an upgrade is asked for and granted with: it goes on, as the tunnel ends where the upstream does."""

MODE_HEADER = b"x-restream-mode"

PSEUDONYM = b"kube-restream"
"""In Via, instead of a host name that would tell of the inside of a cluster (RFC 9110, section 7.6.3)."""

REQUEST_OWN = frozenset({b"host", b"expect", MODE_HEADER})
"""Lines of a request that end here: the Host is each upstream address's own, and the proxy answers Expect itself."""

REMOTE_PREFIX = b"x-remote-"
"""How a front proxy tells an apiserver who the client is; never what a client tells us."""

CREDENTIAL_PREFIXES = (b"impersonate-", REMOTE_PREFIX)

BEARER_PROTOCOL = b"base64url.bearer.authorization.k8s.io."
"""How a browser, which cannot set Authorization on a WebSocket, hands in a token: as a subprotocol of that name."""


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One clause of an Accept header, in the order of preference in which it is tried."""

    type: str
    parameters: dict[str, str] = field(default_factory=dict)

    def matches(self, media_type: str) -> bool:
        """Whether `media_type` satisfies the range."""
        kind = self.type
        return kind in (media_type, "*/*") or (kind.endswith("/*") and media_type.startswith(kind[:-1]))


def values(lines: Lines, name: bytes) -> list[str]:
    """Return the values of all lines called `name` (in lower case), in order."""
    return [value.decode("latin-1") for key, value in lines if key.lower() == name]


def first(lines: Lines, name: bytes) -> str:
    """Return the value of the first line called `name` (in lower case), empty without one."""
    for key, value in lines:
        if key.lower() == name:
            return value.decode("latin-1")
    return ""


def parse_accept(accept: Iterable[str]) -> list[MediaRange]:
    """Parse Accept lines into clauses, most preferred first: by ``q``, then as written, wildcards last.

    As the apiserver does (goautoneg): clauses that do not parse are skipped and ``q=0`` is not a refusal.
    """
    ranked: list[tuple[float, bool, int, MediaRange]] = []
    for clause in ",".join(accept).split(","):
        media_type, *raw = (part.strip() for part in clause.split(";"))
        if "/" not in media_type:
            continue
        parameters = dict(_parameter(text) for text in raw if text)
        quality = _quality(parameters.pop("q", "1"))
        ranked.append((-quality, "*" in media_type, len(ranked), MediaRange(media_type.lower(), parameters)))
    ranked.sort(key=lambda entry: entry[:3])
    return [entry[3] for entry in ranked]


def _parameter(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key.strip(), value.strip()


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 1.0


def to_upstream(
    lines: Lines,
    *,
    plans_list: bool,
    own_credential: bytes | None,
    accept: bytes | None = None,
    remote_user: Lines | None = None,
    is_handshake: bool = False,
) -> Lines:
    """Return the request lines that the upstream sees behind its Host, in the client's order.

    `plans_list` asks for an identity body, as an encoded one cannot be cut; `accept` replaces the client's. With an
    `own_credential` (the value of an Authorization line, or empty where TLS carries it) every inbound credential goes
    first: else any client could borrow the proxy's rights under a name of its choice. X-Remote-* goes in every mode:
    the upstream would take it for the word of a front proxy from whoever reaches it with such a proxy's certificate.
    As such a proxy we tell with `remote_user` who the client is; as whom it wants to act (Impersonate-*) it says
    itself, and the upstream judges by that user's rights. In a handshake the lines that ask for the upgrade stay.
    """
    dropped = REQUEST_OWN
    if plans_list:
        dropped |= {b"accept-encoding"}
    if accept is not None:
        dropped |= {b"accept"}
    kept: Lines = []
    for line in _beyond_the_hop(lines, is_handshake=is_handshake):
        name = line[0].lower()
        if name not in dropped and not name.startswith(REMOTE_PREFIX):
            kept.append(line)
    if own_credential is not None:
        kept = _without_credentials(kept, is_credential)
    if remote_user is not None:
        kept = _without_credentials(kept, is_authorization) + remote_user
    if accept is not None:
        kept.append((b"Accept", accept))
    if plans_list:
        kept.append((b"Accept-Encoding", b"identity"))
    if own_credential:
        kept.append((b"Authorization", own_credential))
    return kept


def to_client(lines: Lines, *, mode: bytes, is_handshake: bool = False) -> Lines:
    """Return the response lines that the client sees: the upstream's own less the hop, plus Via and X-Restream-Mode.

    In the answer to a handshake the lines that grant an upgrade stay, or say which one is required (426).
    """
    kept = [line for line in _beyond_the_hop(lines, is_handshake=is_handshake) if line[0].lower() != MODE_HEADER]
    kept.append(via(b"1.1"))
    kept.append((b"X-Restream-Mode", mode))
    return kept


def via(version: bytes) -> tuple[bytes, bytes]:
    """Return the line that a proxy adds to what it passes on (RFC 9110, section 7.6.3), with the `version` it got."""
    return b"Via", version + b" " + PSEUDONYM


def without_length(lines: Lines) -> Lines:
    """Return the lines without any Content-Length."""
    return [line for line in lines if line[0].lower() != b"content-length"]


def _beyond_the_hop(lines: Lines, *, is_handshake: bool) -> Lines:
    dropped = HOP_BY_HOP | named_by_connection(lines)
    if is_handshake:
        dropped -= HANDSHAKE
        lines = _upgrade_alone(lines)
    return [line for line in lines if line[0].lower() not in dropped]


def _upgrade_alone(lines: Lines) -> Lines:
    """Leave of Connection lines the token ``upgrade``; the others speak of this hop."""
    kept: Lines = []
    for name, value in lines:
        if name.lower() != b"connection":
            kept.append((name, value))
        elif tokens := [token for token in map(bytes.strip, value.split(b",")) if token.lower() == b"upgrade"]:
            kept.append((name, b", ".join(tokens)))
    return kept


def _without_credentials(lines: Lines, is_one: Callable[[bytes], bool]) -> Lines:
    kept: Lines = []
    for name, value in lines:
        key = name.lower()
        if is_one(key):
            continue
        if key == b"sec-websocket-protocol" and BEARER_PROTOCOL in value.lower():
            subprotocols = map(bytes.strip, value.split(b","))
            value = b", ".join(each for each in subprotocols if not each.lower().startswith(BEARER_PROTOCOL))  # noqa: PLW2901
            if not value:
                continue
        kept.append((name, value))
    return kept


def is_credential(name: bytes) -> bool:
    """Whether a line (its name in lower case) says who the client is."""
    return is_authorization(name) or name.startswith(CREDENTIAL_PREFIXES)


def is_authorization(name: bytes) -> bool:
    """Whether a line (its name in lower case) proves who the client is."""
    return name == b"authorization"


def named_by_connection(lines: Lines) -> frozenset[bytes]:
    """Return the names that Connection lines declare to be for this hop alone.

    Content-Length is never one of them (RFC 9110, section 7.6.1): the body goes on, and without its frame the
    upstream would read it as a request of the client's making.
    """
    named = [value for key, value in lines if key.lower() == b"connection"]
    if not named:
        return frozenset()
    return frozenset(token.strip().lower() for token in b",".join(named).split(b",")) - {b"content-length"}
