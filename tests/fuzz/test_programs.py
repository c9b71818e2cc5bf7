"""The programs of this folder run; what they look for takes longer than tests may."""

from tests.fuzz import scanner


def test_scanner() -> None:
    """A moment of it finds nothing."""
    assert scanner.fuzz(0.5, seed=0) == ""
