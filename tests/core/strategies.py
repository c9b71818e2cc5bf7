"""What the properties of the core are tried with: JSON as servers write it and worse, in any chunks."""

import json
from collections.abc import Iterator

from hypothesis import strategies as st

SPACE = st.sampled_from(["", "", "", " ", "\n  ", "\t", "\r\n", " " * 40])
TEXT = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["items", "rows", '"items":[', "},{", "]}", "\\", '\\"', "é中😀", "[", '},{"metadata":{"name":"']),
)
NUMBER = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
SCALAR = st.one_of(st.none(), st.booleans(), NUMBER, TEXT)
VALUE = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
)


@st.composite
def texts(draw: st.DrawFn, values: st.SearchStrategy[object] = VALUE) -> str:
    """Draw a JSON text: any value in any of the usual ways to write it."""
    comma, colon = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :\t")]))
    return json.dumps(
        draw(values),
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, None, 2])),
        separators=(comma, colon),
    )


@st.composite
def objects(draw: st.DrawFn) -> str:
    """Draw an item as servers write them: alike at the beginning, some with that beginning inside."""
    name, value = draw(texts(TEXT)), draw(texts())
    kids = ",".join(['{"metadata":{"name":"x"}}'] * draw(st.integers(0, 3)))
    return f'{{"metadata":{{"name":{name}}},"spec":{value},"kids":[{kids}]}}'


@st.composite
def chunkings(draw: st.DrawFn) -> list[int]:
    """Draw the sizes in which a body arrives, from single bytes to more than there is."""
    return draw(st.lists(st.one_of(st.integers(1, 9), st.integers(1, 500), st.just(1 << 20)), min_size=1, max_size=8))


def chunks(body: bytes, sizes: list[int]) -> Iterator[bytes]:
    """Return `body` in chunks of `sizes`, over and over."""
    at = turn = 0
    while at < len(body):
        size = sizes[turn % len(sizes)]
        yield body[at : at + size]
        at, turn = at + size, turn + 1
