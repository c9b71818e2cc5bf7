"""What only the compiled scanner promises, and that both ways to find items find the same."""

import pytest
from hypothesis import given

from proxy.core import scanner
from proxy.core.errors import ListError
from tests.core.feeding import MAX_ITEM_BYTES, cut, split
from tests.core.strategies import chunkings, chunks
from tests.core.test_scanner import HEAD, TAIL, mutants

_scanner = pytest.importorskip("proxy.core._scanner", reason="the scanner has not been compiled")


@given(mutants(), chunkings())
def test_both_ways_cut_alike(items: bytes, sizes: list[int]) -> None:
    """The same bytes, the same sizes of the items and the same verdict, with the compiled scanner and without."""
    results = []
    for is_compiled in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(scanner, "is_compiled", is_compiled)
            try:
                told = split(chunks(HEAD + items + TAIL, sizes))
                results.append((told.body, told.sizes))
            except ListError:
                results.append((b"", []))
    assert results[0] == results[1]


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_compiled_scanner_nests_as_deep_as_it_says(size: int) -> None:
    """`MAX_DEPTH` levels pass, of whatever they are; one more does not."""
    pairs = _scanner.MAX_DEPTH // 2
    for opening, closing in ((b"[[", b"]]"), (b'{"a":{"b":', b"}}"), (b'[{"a":', b"}]"), (b'{"a":[', b"]}")):
        item = opening * pairs + b"1" + closing * pairs
        for extra, expected in ((b"", 0), (b"[", 3)):
            window, find = bytearray(), _scanner.Scanner(MAX_ITEM_BYTES).find
            for piece in cut(extra + item + b",", size):
                window += piece
                fault, start, end, sizes = find(window, 0)
                if fault or sizes:
                    break
            assert fault == expected
            assert (start, end, sizes) == ((-1, -1, []) if expected else (0, len(item), [len(item)]))


def test_compiled_scanner_keeps_its_verdict() -> None:
    """A scanner that has refused a List refuses whatever comes, and one that has seen the end says so again."""
    refusing, done = _scanner.Scanner(MAX_ITEM_BYTES), _scanner.Scanner(MAX_ITEM_BYTES)
    assert [refusing.find(b"x", 0)[0], refusing.find(b"1,", 0)[0]] == [1, 1]
    assert done.find(b" ]", 0) == done.find(b" ]}", 0) == (0, 1, 1, [])


def test_compiled_scanner_never_reads_outside_its_window() -> None:
    """A window that has become shorter than what was seen of it is refused."""
    finder = _scanner.Scanner(MAX_ITEM_BYTES)
    assert finder.find(b'{"a":', 0) == (0, -1, -1, [])
    for window, at in ((b'{"a"', 0), (b'{"a":1}', 3), (b'{"a":1}', -1), (b"", 1)):
        with pytest.raises(ValueError, match="window"):
            finder.find(window, at)
    assert finder.find(b'{"a":1}', 0) == (0, 0, 7, [7])
