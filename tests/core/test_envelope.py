"""A List without its items: what it says of itself, and the same bytes less what paging has added."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.envelope import Envelope, Metadata
from proxy.core.errors import UnstitchableError
from tests.core.recorded import body as recorded
from tests.core.strategies import TEXT, VALUE

TYPED = b'{"kind":"PodList","apiVersion":"v1","metadata":%b,"items":[]}'
CUSTOM = b'{"apiVersion":"g/v1","items":[],"kind":"FooList","metadata":%b}'
PAGED = b'{"selfLink":"/a","resourceVersion":"304","continue":"t\\u003c","remainingItemCount":17,"shardInfo":{"a":"b"}}'
UNPAGED = b'{"selfLink":"/a","resourceVersion":"304","shardInfo":{"a":"b"}}'


def metadata_of(text: bytes) -> Metadata | None:
    """Return what is read of some metadata."""
    return Envelope.parse(TYPED % text).metadata


@pytest.mark.parametrize("document", [TYPED, CUSTOM], ids=["typed", "custom"])
def test_metadata_is_read_wherever_it_stands(document: bytes) -> None:
    """With its escapes resolved."""
    metadata = Envelope.parse(document % PAGED).metadata
    assert metadata is not None
    assert (metadata.version, metadata.token, metadata.remaining, metadata.is_paged) == ("304", "t<", 17, True)


@pytest.mark.parametrize(
    ("text", "is_paged"),
    [
        (b"{}", False),
        (b'{"continue":""}', False),
        (b'{"continue":"x"}', True),
        (b'{"remainingItemCount":0}', True),
        (b'{"remainingItemCount":null}', False),
        (b'{"resourceVersion":"1","selfLink":"","x":{"continue":"y"}}', False),
    ],
)
def test_only_what_an_unpaged_list_has_not_counts(text: bytes, *, is_paged: bool) -> None:
    """The empty token of a custom resource's List is no sign of a page."""
    metadata = metadata_of(text)
    assert metadata is not None
    assert metadata.is_paged == is_paged


def test_document_without_metadata_has_none() -> None:
    """As what stands before the items of a custom resource's List."""
    assert Envelope.parse(b'{"apiVersion":"g/v1","items":[]}').metadata is None


@pytest.mark.parametrize(
    ("document", "is_compact"),
    [
        (TYPED % b"{}", True),
        (TYPED % b"{}" + b"\n", True),
        (TYPED % b"{}" + b" \r\n\t", True),
        (b" " + TYPED % b"{}", False),
        (TYPED % b"{}".replace(b"{", b"{ "), False),
        (TYPED % b'{"a" :1}', False),
        (b'{"kind": "PodList"}', False),
        (b'{"kind":"PodList" }', False),
        (b'{"kin\\u0064":"PodList"}', False),
        (b'{"a":{"b": 1}}', True),
        (b"{}", True),
        (b"{ }", False),
        ('{"\xe9":"\u4e2d"}'.encode(), True),
        (b'{"\\u00e9":1}', False),
    ],
)
def test_compact_is_what_can_be_put_together_again(document: bytes, *, is_compact: bool) -> None:
    """Space inside of a value that is kept as a whole does no harm; around members and in keys it does."""
    assert Envelope.parse(document).is_compact == is_compact


@pytest.mark.parametrize("document", [TYPED, CUSTOM], ids=["typed", "custom"])
def test_unpaged_is_the_same_without_paging(document: bytes) -> None:
    """Every other byte stays, and its order."""
    assert Envelope.parse(document % PAGED).unpaged() == document % UNPAGED
    assert Envelope.parse(document % UNPAGED).unpaged() == document % UNPAGED


@pytest.mark.parametrize("version", ["v1.32", "v1.36"])
def test_recorded_page_becomes_its_unpaged_head(version: str) -> None:
    """Page 1's head of a recorded sequence is that of the recorded List."""
    for name, key in (("pods", b'"items":['), ("pods-table", b'"rows":[')):
        head, _, _ = recorded(version, f"{name}-page1.json").partition(key)
        whole, _, _ = recorded(version, f"{name}.json").partition(key)
        assert Envelope.parse(head + key + b"]}").unpaged() == whole + key + b"]}"


@given(
    st.dictionaries(TEXT.filter(lambda key: key not in ("continue", "remainingItemCount", "resourceVersion")), VALUE),
    st.text(max_size=5),
    st.none() | st.integers(0, 1 << 40),
    st.integers(0, 9),
)
def test_any_metadata_keeps_all_but_two_fields(
    fields: dict[str, object], token: str, remaining: int | None, turn: int
) -> None:
    """Whatever else a server writes there, and wherever it writes what paging adds."""
    added: dict[str, object] = {"continue": token, **({} if remaining is None else {"remainingItemCount": remaining})}
    at = turn % (len(fields) + 1)
    members = list(fields.items())
    paged = dict([*members[:at], *added.items(), *members[at:]])
    document, expected = (
        TYPED % json.dumps(each, ensure_ascii=False, separators=(",", ":")).encode() for each in (paged, fields)
    )
    envelope = Envelope.parse(document)
    assert envelope.metadata is not None
    assert envelope.metadata.token == token
    if envelope.is_compact:  # not where a key needs an escape that Go and msgspec write apart
        assert envelope.unpaged() == expected
    else:
        assert any(ord(character) < 32 or character in '"\\\x7f' for key in fields for character in key)


def test_before_ends_where_the_value_begins() -> None:
    """Also for the first member, and for a key that stands inside of another value."""
    envelope = Envelope.parse(b'{"kind":"Table","metadata":{"rows":1},"rows":null,"z":1}')
    assert envelope.before("rows") == b'{"kind":"Table","metadata":{"rows":1},"rows":'
    assert envelope.before("kind") == b'{"kind":'


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b" ",
        b"[]",
        b"1",
        b'"x"',
        b"null",
        b"{",
        b'{"a":1',
        b'{"a":1}}',
        b'{"a":1} {}',
        b"{a:1}",
        b'{"metadata":[]}',
        b'{"metadata":"x"}',
        b'{"metadata":{"continue":1}}',
        b'{"\xff":1}',
    ],
)
def test_what_is_no_envelope_is_refused(document: bytes) -> None:
    """By our own error, without a word of the document in it."""
    with pytest.raises(UnstitchableError) as refused:
        Envelope.parse(document)
    assert refused.value.__cause__ is None
    assert not document.strip() or document.decode("latin-1") not in str(refused.value)


@pytest.mark.parametrize(
    "document",
    [
        b'{"metadata":{},"metadata":{"continue":"x"}}',
        b'{"metadata":{"continue":"x","continue":""}}',
        b'{"kind":"PodList","kind":"PodList"}',
    ],
)
def test_key_that_comes_twice_is_never_compact(document: bytes) -> None:
    """Each parser keeps another, or (Go) both."""
    try:
        assert not Envelope.parse(document).is_compact
    except UnstitchableError:
        return


@given(
    st.binary(max_size=40) | st.lists(st.sampled_from([b'{"', b'"', b":", b",", b"{", b"}", b"a", b"1"])).map(b"".join)
)
def test_junk_is_read_or_refused(document: bytes) -> None:
    """Nothing but our own error is raised, and what counts as compact comes back byte for byte."""
    try:
        envelope = Envelope.parse(document)
    except UnstitchableError:
        return
    if envelope.is_compact and envelope.members:
        last = list(envelope.members)[-1]
        assert document.startswith(envelope.before(last))
