"""Continue tokens."""

import pytest

from proxy.backend import tokens
from proxy.backend.status import ApiError


def test_tokens_are_those_of_an_apiserver() -> None:
    """The recorded token of a first page."""
    token = "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MzA0LCJzdGFydCI6Ii9hLWIvd2ViLTAxM1x1MDAwMCJ9"
    position = tokens.Position(304, "a-b/web-013")
    assert tokens.encode(position, slash=True) == token
    assert tokens.decode(token) == position
    assert tokens.decode(tokens.encode(position, slash=False)) == position


@pytest.mark.parametrize("token", ["!", "garbage", "e30", "bnVsbA", "eyJ2IjoieCIsInJ2IjoxLCJzdGFydCI6ImEifQ"])
def test_other_tokens_are_bad_requests(token: str) -> None:
    """Whatever isn't a token is answered with 400."""
    with pytest.raises(ApiError, match="invalid continue token"):
        tokens.decode(token)
