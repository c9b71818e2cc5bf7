"""JSON comes out as Go prints it."""

import pytest

from proxy.backend import gojson


@pytest.mark.parametrize(
    ("given", "printed"),
    [
        ("1.0", "1"), ("1.50", "1.5"), ("1e30", "1e+30"), ("1E+21", "1e+21"), ("1e20", "100000000000000000000"),
        ("1e-7", "1e-7"), ("1.5e-9", "1.5e-9"), ("0.000001", "0.000001"), ("1.25e-5", "0.0000125"), ("-0.0", "-0"),
        ("123456789.125", "123456789.125"), ("1.7976931348623157e308", "1.7976931348623157e+308"),
    ],
)  # fmt: skip
def test_floats_have_gos_shortest_form(given: str, printed: str) -> None:
    """Exponents only outside 1e-6 to 1e21, with a sign and without leading zeros."""
    assert gojson.normalise(f"[{given}]".encode()) == f"[{printed}]".encode()


def test_maps_are_sorted_and_html_is_escaped() -> None:
    """Keys are sorted, `<>&` and the two line separators are escaped, other UTF-8 is raw."""
    body = '{"b": "<a> & \u2028\u2029", "a": "é中😀\\u0001\\n/"}'.encode()
    expected = '{"a":"é中😀\\u0001\\n/","b":"\\u003ca\\u003e \\u0026 \\u2028\\u2029"}'
    assert gojson.normalise(body) == expected.encode()


def test_large_integers_keep_their_digits() -> None:
    """Integers stay integers."""
    assert gojson.normalise(b"[12345678901234567]") == b"[12345678901234567]"


def test_pretty_printing_has_two_spaces_and_no_newline() -> None:
    """Empty containers stay on their line."""
    assert gojson.indent(b'{"a":[],"b":{"c":[1]}}\n') == b'{\n  "a": [],\n  "b": {\n    "c": [\n      1\n    ]\n  }\n}'
