"""RFC 8259, case by case, in the manner of JSONTestSuite: y_ has to pass, n_ to be refused, i_ is for us to decide.

What we have decided is in docs/json.md. Each case is tried as an item, in an item, and as a value outside of the items.
"""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core.errors import InvalidJSONError, InvalidUTF8Error, ListError, NestingError
from tests.core.feeding import cut, split
from tests.core.strategies import chunkings, chunks
from tests.core.test_scanner import is_json, passes

pytestmark = pytest.mark.usefixtures("finder")

DOCUMENT = Path(__file__).parents[2] / "docs" / "json.md"

AMONG_ITEMS = {
    "alone": b'{"items":[%b]}',
    "among others": b'{"kind":"PodList","items":[{"a":1},{"a":2},{"a":3},%b,{"a":4},{"a":5}]}\n',
    "in an object": b'{"items":[{"a":{"b":%b}}]}',
    "in an array": b'{"items":[[[0],[%b]],1]}',
}
OUTSIDE = {"before": b'{"x":%b,"items":[{}]}', "behind": b'{"items":[{}],"x":{"y":[%b]}}'}

PASS = {
    "y_array_arrays_with_spaces": b"[[]   ]",
    "y_array_empty": b"[]",
    "y_array_heterogeneous": b'[null, 1, "1", {}]',
    "y_array_with_line_breaks": b"[1\n,\r\n\t2 ]",
    "y_array_with_several_null": b"[1,null,null,null,2]",
    "y_number_0e+1": b"0e+1",
    "y_number_capital_exponent": b"1E-2",
    "y_number_close_to_zero": b"-0." + b"0" * 76 + b"1",
    "y_number_minus_zero": b"-0",
    "y_number_negative_real": b"-123.5e+03",
    "y_number_leading_zeros_in_exponent": b"1e0001",
    "y_object_duplicated_key": b'{"a":"b","a":"c"}',
    "y_object_duplicated_key_and_value": b'{"a":"b","a":"b"}',
    "y_object_empty_key": b'{"":0}',
    "y_object_escaped_nul_in_key": b'{"foo\\u0000bar":42}',
    "y_object_key_called_items": b'{"items":[{"items":[]}],"rows":null}',
    "y_object_long_strings": b'{"x":[{"id":"%b"}],"id":"%b"}' % (b"x" * 40, b"x" * 40),
    "y_object_string_unicode": '{"title":"\\u041f\\u043e \u0417\u0435\u043c\u043b\u0435"}'.encode(),
    "y_string_all_escapes": b'"\\"\\\\\\/\\b\\f\\n\\r\\t"',
    "y_string_1_2_3_4_byte_characters": '"a\u0080\u0800\U00010000\U0010ffff"'.encode(),
    "y_string_allowed_surrogate_pairs": b'"\\uD801\\udc37\\ud83d\\uDE00"',
    "y_string_backslash_and_u_escaped_zero": b'"\\\\u0000"',
    "y_string_double_escape_n": b'"\\\\n"',
    "y_string_delete_character": b'"\x7f"',
    "y_string_escaped_control_character": b'"\\u0012"',
    "y_string_escaped_noncharacter": b'"\\uFFFF"',
    "y_string_noncharacter": '"\uffff\U0001ffff\ufdd0"'.encode(),
    "y_string_byte_order_mark_inside": '"\ufeff"'.encode(),
    "y_string_line_separators": '"\u2028\u2029\u0085"'.encode(),
    "y_string_comment_inside": b'"a/*b*/c/*d//e"',
    "y_string_brackets_inside": b'"]},{\\"items\\":["',
    "y_string_escaped_surrogate_look_alike": b'"\\\\ud800"',
    "y_structure_lonely_false": b"false",
    "y_structure_lonely_null": b"null",
    "y_structure_white_space_around": b" \n\r\t{} \t\r\n ",
}

REFUSE = {
    "n_array_1_true_without_comma": b"[1 true]",
    "n_array_colon_instead_of_comma": b'["":1]',
    "n_array_comma_and_number": b"[,1]",
    "n_array_double_comma": b"[1,,2]",
    "n_array_extra_comma": b'["",]',
    "n_array_just_comma": b"[,]",
    "n_array_just_minus": b"[-]",
    "n_array_vertical_tab": b'["\x0ba"\\f]',
    "n_array_star_inside": b"[*]",
    "n_incomplete_false": b"fals",
    "n_number_++": b"++1234",
    "n_number_+1": b"+1",
    "n_number_-01": b"-01",
    "n_number_-NaN": b"-NaN",
    "n_number_.-1": b".-1",
    "n_number_.2e-3": b".2e-3",
    "n_number_0.1.2": b"0.1.2",
    "n_number_0_capital_E": b"0E",
    "n_number_0.e1": b"0.e1",
    "n_number_0e+-1": b"0e+-1",
    "n_number_1_000": b"1 000",
    "n_number_1eE2": b"1eE2",
    "n_number_2.e3": b"2.e3",
    "n_number_9.e+": b"9.e+",
    "n_number_expression": b"1+2",
    "n_number_fullwidth_digit": "\uff11".encode(),
    "n_number_hex": b"0x42",
    "n_number_Inf": b"Inf",
    "n_number_infinity": b"Infinity",
    "n_number_minus_infinity": b"-Infinity",
    "n_number_minus_space_1": b"- 1",
    "n_number_NaN": b"NaN",
    "n_number_neg_int_starting_with_zero": b"-012",
    "n_number_underscore": b"1_0",
    "n_number_with_alpha": b"1.2a-3",
    "n_object_bracket_key": b'{[: "x"}',
    "n_object_comma_instead_of_colon": b'{"x", null}',
    "n_object_double_colon": b'{"x"::"b"}',
    "n_object_emoji": "{\U0001f1e8\U0001f1ed}".encode(),
    "n_object_key_with_single_quotes": b"{key: 'value'}",
    "n_object_lone_continuation_byte_in_key": b'{"\xb9":"0",}',
    "n_object_missing_semicolon": b'{"a" b}',
    "n_object_missing_value": b'{"a":',
    "n_object_non_string_key": b"{1:1}",
    "n_object_repeated_null_null": b"{null:null,null:null}",
    "n_object_several_trailing_commas": b'{"id":0,,,,,}',
    "n_object_trailing_comment": b'{"a":"b"}/**/',
    "n_object_two_commas_in_a_row": b'{"a":"b",,"c":"d"}',
    "n_object_unquoted_key": b'{a: "b"}',
    "n_string_1_surrogate_then_escape": b'"\\uD800\\"',
    "n_string_1_surrogate_then_escape_u1x": b'"\\uD800\\u1x"',
    "n_string_accentuated_char_no_quotes": "\u00e9".encode(),
    "n_string_backslash_00": b'"\\\x00"',
    "n_string_escape_x": b'"\\x00"',
    "n_string_escaped_emoji": '"\\\U0001f300"'.encode(),
    "n_string_incomplete_escaped_character": b'"\\u00A"',
    "n_string_invalid_utf8_after_escape": b'"\\u\xe5"',
    "n_string_leading_escaped_thinspace": b'\\u0020"asd"',
    "n_string_single_quote": b"'single quote'",
    "n_string_unescaped_control_character": b'"a\x1fa"',
    "n_string_unescaped_newline": b'"new\nline"',
    "n_string_unescaped_tab": b'"\t"',
    "n_string_unicode_capital_u": b'"\\UA66D"',
    "n_structure_angle_bracket": b"<.>",
    "n_structure_byte_order_mark": b"\xef\xbb\xbf{}",
    "n_structure_capitalized_true": b"True",
    "n_structure_form_feed": b"\x0c1",
    "n_structure_no_break_space": b"\xc2\xa01",
    "n_structure_nul_byte": b"1\x00",
    "n_structure_null_byte_outside_string": b"[\x00]",
    "n_structure_single_star": b"*",
    "n_structure_unclosed_array_partial_null": b"[ false, nul",
    "n_structure_whitespace_U+2060": "\u2060 1".encode(),
}

UTF8 = {
    "i_string_invalid_utf8": b'"\xff"',
    "i_string_iso_latin_1": b'"\xe9"',
    "i_string_lone_continuation_byte": b'"\x81"',
    "i_string_not_in_unicode_range": b'"\xf4\xbf\xbf\xbf"',
    "i_string_overlong_2_bytes": b'"\xc0\xaf"',
    "i_string_overlong_6_bytes": b'"\xfc\x83\xbf\xbf\xbf\xbf"',
    "i_string_truncated": b'"\xe0\xff"',
    "i_string_surrogate_U+D800": b'"\xed\xa0\x80"',
}
SURROGATES = {
    "i_string_1st_surrogate_but_2nd_missing": b'"\\uDADA"',
    "i_string_1st_valid_surrogate_2nd_invalid": b'"\\uD888\\u1234"',
    "i_string_incomplete_surrogate_and_escape": b'"\\uD800\\n"',
    "i_object_key_lone_surrogate": b'{"\\uDFAA":0}',
    "i_string_inverted_surrogates": b'"\\uDd1e\\uD834"',
    "i_string_lone_second_surrogate": b'"\\uDFAA"',
}
NUMBERS = {
    "i_number_double_huge_exp": b"1.5e+9999",
    "i_number_very_big_negative_int": b"-237462374673276894279832749832423479823246327846",
    "i_number_more_digits_than_python_reads": b"1" * 5000,
    "i_number_many_fractional_digits": b"0." + b"1" * 5000,
    "i_number_neg_overflow": b"-123123e100000",
    "i_number_real_underflow": b"123e-10000000",
}
EXPONENTS = {
    "i_number_exponent_beyond_decimals": b"1e9999999999999999999",
    "i_number_exponent_of_400_digits": b"0e" + b"1" * 400,
}


def told_unchanged(body: bytes) -> bool:
    """Whether a List passes byte for byte, at once as well as in single bytes; refused, it has to be both times."""
    verdicts = set()
    for size in (len(body), 1):
        try:
            assert split(cut(body, size)).body == body
        except ListError:
            verdicts.add(False)
        else:
            verdicts.add(True)
    assert len(verdicts) == 1
    return verdicts.pop()


def nested(depth: int) -> bytes:
    """Return arrays in arrays."""
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize("place", [*AMONG_ITEMS.values(), *OUTSIDE.values()], ids=[*AMONG_ITEMS, *OUTSIDE])
def test_standard_is_kept(place: bytes) -> None:
    """What RFC 8259 allows passes unchanged, what it does not is refused: everywhere, and as Python sees it."""
    for name, text in (PASS | REFUSE).items():
        body = place.replace(b"%b", text)
        assert is_json(body) == name.startswith("y_"), name
        assert told_unchanged(body) == name.startswith("y_"), name


@pytest.mark.parametrize("place", [*AMONG_ITEMS.values(), *OUTSIDE.values()], ids=[*AMONG_ITEMS, *OUTSIDE])
def test_what_is_not_utf8_is_refused(place: bytes) -> None:
    """By its name; JSON between systems is UTF-8 (RFC 8259, section 8.1)."""
    for name, text in UTF8.items():
        for size in (1 << 20, 1):
            with pytest.raises(InvalidUTF8Error):
                split(cut(place.replace(b"%b", text), size))
        assert not is_json(place.replace(b"%b", text)), name


@pytest.mark.parametrize("place", AMONG_ITEMS.values(), ids=AMONG_ITEMS)
def test_half_of_a_surrogate_pair_is_refused_in_items(place: bytes) -> None:
    """Python's loads takes it, but what it is then can be written in no UTF-8; Go never writes one."""
    for text in SURROGATES.values():
        assert json.loads(text)
        with pytest.raises(InvalidJSONError):
            split([place.replace(b"%b", text)])
        assert not told_unchanged(place.replace(b"%b", text))


@pytest.mark.parametrize("place", OUTSIDE.values(), ids=OUTSIDE)
def test_half_of_a_surrogate_pair_outside_of_items(place: bytes) -> None:
    """There yajl takes a first half without its second, which passes as it stands, and refuses a second alone."""
    verdicts = {name: told_unchanged(place.replace(b"%b", text)) for name, text in SURROGATES.items()}
    firsts = list(SURROGATES)[:3]
    assert {name for name, passed in verdicts.items() if passed} == set(firsts)


@pytest.mark.parametrize("place", [*AMONG_ITEMS.values(), *OUTSIDE.values()], ids=[*AMONG_ITEMS, *OUTSIDE])
def test_numbers_of_any_size_pass(place: bytes) -> None:
    """No number is read as one, so none is too large, too long or too exact."""
    for name, text in NUMBERS.items():
        assert told_unchanged(place.replace(b"%b", text)), name


def test_exponents_without_end_pass_in_items_alone() -> None:
    """Outside of them ijson makes a Decimal of a number, which ends at 10^18 digits of exponent."""
    for text in EXPONENTS.values():
        assert all(told_unchanged(place.replace(b"%b", text)) for place in AMONG_ITEMS.values())
        for place in OUTSIDE.values():
            with pytest.raises(InvalidJSONError):
                split([place.replace(b"%b", text)])


def test_nesting_has_an_end(finder: str) -> None:
    """1,000 outside of the items; in one 10,000, and without the compiled scanner what Python's stack leaves."""
    most = 10_000 if finder == "compiled" else 500
    assert told_unchanged(b'{"items":[%b]}' % nested(most))
    assert told_unchanged(b'{"items":[],"x":%b}' % nested(999))
    for body in (b'{"items":[%b]}' % nested(10_001), b'{"items":[],"x":%b}' % nested(1000)):
        with pytest.raises(NestingError):
            split([body])


def test_differences_are_documented() -> None:
    """docs/json.md has a row for each kind of case that the standard leaves open, or where Python differs."""
    page = DOCUMENT.read_text()
    for topic in (
        *("Duplicate keys", "Half of a surrogate pair", "NaN", "Nesting", "Numbers", "Exponents"),
        *("Byte order mark", "Control characters", "Not UTF-8", "White space"),
    ):
        assert f"| {topic}" in page, topic


TOKENS = [
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b'"a"',
        b'""',
        b'"\\n"',
        b"0",
        b"-1",
        b"1.5e3",
        b"true",
        b"null",
        b" ",
        b"\n",
    ),
    *(b'"', b"\\", b"e", b".", b"-", b"//", b"'", b"\x00", b"\x0b", b"\xc3\xa9", b"\xff", b'"\\ud83d\\ude00"'),
]
WHOLE_TOKENS = TOKENS[:16]
SOUP = st.one_of(
    st.lists(st.sampled_from(WHOLE_TOKENS), max_size=9).map(b"".join),
    st.lists(st.sampled_from(TOKENS), max_size=9).map(b"".join),
)


@settings(max_examples=250)
@given(SOUP, st.sampled_from([*AMONG_ITEMS.values(), *OUTSIDE.values()]), chunkings())
def test_any_tokens_are_judged_as_python_does(soup: bytes, place: bytes, sizes: list[int]) -> None:
    """Tokens in any order, in any place, in any chunks: the verdict is that of another parser."""
    body = place.replace(b"%b", soup)
    assert passes(chunks(body, sizes)) == is_json(body)
