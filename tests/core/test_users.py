"""Who a certificate says its bearer is, and the lines that a front proxy tells it in."""

from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.users import User, escape, remote_lines, user_of

UID = "1.3.6.1.4.1.57683.2"
EXTRA = (("authentication.kubernetes.io/credential-id", "X509SHA256=f00"),)


def subject(*pairs: tuple[str, str]) -> dict[str, object]:
    """Return what Python tells of a certificate with these attributes."""
    return {"subject": tuple((pair,) for pair in pairs)}


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([("commonName", "alice")], User("alice", (), "", EXTRA)),
        (
            [("organizationName", "dev"), ("commonName", "alice"), ("organizationName", "ops")],
            User("alice", ("dev", "ops"), "", EXTRA),
        ),
        ([("commonName", "a"), ("commonName", "b")], User("b", (), "", EXTRA)),
        ([("commonName", "alice"), (UID, "u-1")], User("alice", (), "u-1", EXTRA)),
        ([("commonName", "system:node:x y")], User("system:node:x y", (), "", EXTRA)),
        ([("commonName", "Jürgen")], User("Jürgen", (), "", EXTRA)),
        ([], None),
        ([("organizationName", "dev")], None),
        ([("commonName", "")], None),
        ([("commonName", "alice"), (UID, "1"), (UID, "2")], None),
        ([("commonName", "alice"), (UID, "")], None),
        ([("commonName", " alice")], None),
        ([("commonName", "alice\n")], None),
        ([("commonName", "alice\r\nX-Remote-Group: system:masters")], None),
        ([("commonName", "alice\0")], None),
        ([("commonName", "alice"), ("organizationName", "dev\rops")], None),
        ([("commonName", "alice"), ("organizationName", "")], None),
    ],
)
def test_user_of_a_subject(pairs: list[tuple[str, str]], expected: User | None) -> None:
    """CN is the name and each O a group, as for kube-apiserver; what a header line would change names nobody."""
    assert user_of(subject(*pairs), "f00") == expected


def test_no_subject() -> None:
    """A certificate without a subject names nobody."""
    assert user_of({}, "f00") is None
    assert user_of({"subject": "x"}, "f00") is None


def test_lines() -> None:
    """One line a group, keys of extras escaped, values in UTF-8."""
    user = User("jürgen", ("dev", "a, b"), "u-1", (("Example.com/key%", "v"),))
    assert remote_lines(user) == [
        (b"X-Remote-User", "jürgen".encode()),
        (b"X-Remote-Group", b"dev"),
        (b"X-Remote-Group", b"a, b"),
        (b"X-Remote-Uid", b"u-1"),
        (b"X-Remote-Extra-example.com%2Fkey%25", b"v"),
    ]


@given(st.text(min_size=1))
def test_keys_come_back(key: str) -> None:
    """An escaped key is a name that a line may have, and unescapes to what it was but for its case."""
    escaped = escape(key)
    assert not set(escaped) & set(b' :()<>@,;\\"/[]?={}\r\n\t')
    assert unquote_to_bytes(escaped) == key.lower().encode()


@given(st.lists(st.tuples(st.sampled_from(["commonName", "organizationName", UID]), st.text(max_size=9)), max_size=5))
def test_no_subject_breaks_a_line(pairs: list[tuple[str, str]]) -> None:
    """Whatever a certificate says, no value ends its line or is trimmed."""
    user = user_of(subject(*pairs), "f00")
    for _, value in remote_lines(user) if user else []:
        assert value == value.strip()
        assert not set(value) & set(b"\r\n\0")
