"""Who a client's certificate says it is, by Kubernetes' own rules, and how a front proxy passes that on.

The rules are those of CommonNameUserConversion (k8s.io/apiserver, authentication/request/x509), the lines those of the
requestheader authenticator as client-go's SetAuthProxyHeaders writes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.core.headers import Lines

UID_TYPE = "1.3.6.1.4.1.57683.2"
"""The attribute of a subject that is its UID (X509UID in k8s.io/apiserver); Python has no name for it."""

CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"

TOKEN_CHARACTERS = frozenset(b"!#$&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
"""What the name of a header line may have (RFC 9110, section 5.6.2), but for the per cent sign that escapes others."""


@dataclass(frozen=True, slots=True)
class User:
    """A user as the apiserver knows them."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, str], ...] = ()


def user_of(certificate: Mapping[str, object], fingerprint: str) -> User | None:
    """Return the user of a verified `certificate` (as SSLObject.getpeercert tells it), None where it names nobody.

    The last CN is the name, as Go's crypto/x509 has it; each O is a group. A name that a header line cannot carry as
    it is names nobody: trimmed, it would be somebody else.
    """
    subject = certificate.get("subject", ())
    pairs = [pair for relative in subject for pair in relative] if isinstance(subject, tuple) else []
    names = [value for key, value in pairs if key == "commonName"]
    groups = tuple(value for key, value in pairs if key == "organizationName")
    uids = [value for key, value in pairs if key == UID_TYPE]
    if not names or len(uids) > 1 or not all(map(_fits_a_line, (names[-1], *groups, *uids))):
        return None
    extra = ((CREDENTIAL_ID, f"X509SHA256={fingerprint}"),)
    return User(names[-1], groups, uids[0] if uids else "", extra)


def remote_lines(user: User) -> Lines:
    """Return the lines that tell an apiserver who a request is from."""
    lines: Lines = [(b"X-Remote-User", user.name.encode())]
    lines += [(b"X-Remote-Group", group.encode()) for group in user.groups]
    if user.uid:
        lines.append((b"X-Remote-Uid", user.uid.encode()))
    lines += [(b"X-Remote-Extra-" + escape(key), value.encode()) for key, value in user.extra]
    return lines


def escape(key: str) -> bytes:
    """Write the key of an extra as a part of a line's name: in lower case, what no name has percent-encoded."""
    return b"".join(b"%c" % byte if byte in TOKEN_CHARACTERS else b"%%%02X" % byte for byte in key.lower().encode())


def _fits_a_line(value: object) -> bool:
    return isinstance(value, str) and value != "" and value == value.strip() and value.isprintable()
