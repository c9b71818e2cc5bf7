"""Settings: what beats what, and what is refused in one line."""

from pathlib import Path
from typing import Any

import pytest

from proxy.addresses import split_address
from proxy.loading import load, parse_size
from proxy.settings import Settings, SettingsError, setting_kinds

UPSTREAM = {"upstream": "http://127.0.0.1:8080"}


def write(folder: Path, text: str) -> str:
    """Write a settings file and return its path."""
    path = folder / "proxy.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def get(settings: Settings, key: str) -> object:
    """Return the value at a dotted path."""
    value: object = settings
    for name in key.split("."):
        value = getattr(value, name)
    return value


@pytest.mark.parametrize(
    ("key", "texts", "values"),
    [
        ("listen", ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"], ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]),
        ("mode", ["raw", "streamed", "buffered"], ["raw", "streamed", "buffered"]),
        ("max_item_bytes", ["1MiB", "2 MB", "3"], [1 << 20, 2_000_000, 3]),
        ("limits.idle_seconds", ["1", "2.5", "3"], [1.0, 2.5, 3.0]),
        ("limits.header_bytes", ["64KiB", "65536", "1GiB"], [65536, 65536, 1 << 30]),
        ("allow_mode_header", ["true", "false", "true"], [True, False, True]),
        ("workers", ["auto", "2", "3"], ["auto", 2, 3]),
        ("workers", ["4", "auto", "auto"], [4, "auto", "auto"]),
        ("upstream", ["http://a:1", "http://b:2/p", "https://c"], ["http://a:1", "http://b:2/p", "https://c"]),
    ],
)
def test_precedence(tmp_path: Path, key: str, texts: list[str], values: list[object]) -> None:
    """A flag beats the environment beats the file beats the default."""
    in_file, in_environment, in_flag = texts
    parent, _, name = key.rpartition(".")
    text = f"{parent}:\n  {name}: {in_file}\n" if parent else f"{name}: {in_file}\n"
    if key != "upstream":
        text += "upstream: http://127.0.0.1:8080\n"
    path = write(tmp_path, text)
    environ = {"RESTREAM_" + key.upper().replace(".", "_"): in_environment}
    flag: Any = {"true": True, "3": 3}.get(in_flag, in_flag)
    default = get(Settings(), key)
    assert get(load(path, {}, {}), key) == values[0]
    assert get(load(path, environ, {}), key) == values[1]
    assert get(load(path, environ, {key: flag}), key) == values[2]
    assert get(load(path, environ, {key: None}), key) == values[1]
    if key != "upstream":
        assert get(load(None, {}, UPSTREAM), key) == default


@pytest.mark.parametrize("address", ["[::1]:8001", ":8001", "localhost:0", "127.0.0.1:8001"])
def test_addresses_from_everywhere(tmp_path: Path, address: str) -> None:
    """An address means the same in the environment as in a flag and, quoted, in the file."""
    path = write(tmp_path, f"listen: {address!r}\nupstream: http://x\n")
    for settings in (
        load(None, {"RESTREAM_LISTEN": address}, UPSTREAM),
        load(None, {}, {**UPSTREAM, "listen": address}),
        load(path, {}, {}),
    ):
        assert settings.listen == address


@pytest.mark.parametrize(
    "name",
    ["kind-kind", "1e3", "1234", "1.10", "no", "null", "2026-01-01", "a@c: x"],
)
@pytest.mark.parametrize("key", ["context", "kubeconfig"])
def test_names_are_text(key: str, name: str) -> None:
    """A name is taken as it is written in the environment, whatever YAML would make of it."""
    settings = load(None, {"RESTREAM_" + key.upper(): name, "RESTREAM_KUBECONFIG": name}, UPSTREAM)
    assert get(settings, key) == name


@pytest.mark.parametrize(("text", "value"), [("16MiB", 16 << 20), ("2 MB", 2_000_000), ("7", 7), ("1 GiB", 1 << 30)])
def test_sizes(text: str, value: int) -> None:
    """Sizes are read with their units."""
    assert parse_size(text) == value


@pytest.mark.parametrize("text", ["", "MiB", "1 mib", "1.5MiB", "-1", "1MiB x", "0x10"])
def test_bad_sizes(text: str) -> None:
    """What is no size is refused."""
    with pytest.raises(ValueError, match="expected a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:1", ("127.0.0.1", 1)), (":1", ("0.0.0.0", 1)), ("[::1]:2", ("::1", 2)), ("h:0", ("h", 0))],  # noqa: S104
)
def test_split_address(text: str, address: tuple[str, int]) -> None:
    """An address is a host, or nothing for all interfaces, and a port."""
    assert split_address(text) == address


FILES = {
    "unknown": ("unknown: 1", "unknown: unknown setting"),
    "unknown inside": ("limits: {idle: 1}", "limits.idle: unknown setting"),
    "unknown mode": ("mode: fast", "mode: "),
    "bool for text": ("listen: true", "listen: "),
    "number for text": ("listen: 8001", "listen: "),
    "text for number": ("limits: {idle_seconds: soon}", "limits.idle_seconds: "),
    "text for bool": ("access_log: maybe", "access_log: "),
    "bad size": ("max_item_bytes: 16 megs", "max_item_bytes: expected a size"),
    "bad size inside": ("paging: {page_bytes: x}", "paging.page_bytes: expected a size"),
    "fraction of a byte": ("max_item_bytes: 1.5", "max_item_bytes: "),
    "null for a number": ("max_item_bytes: null", "max_item_bytes: "),
    "null for a section": ("limits: null", "limits: "),
    "list for a section": ("limits: [1]", "limits: "),
    "zero": ("max_item_bytes: 0", "max_item_bytes: must be more than 0"),
    "negative": ("limits: {connect_seconds: -1}", "limits.connect_seconds: must be more than 0"),
    "not a number": ("limits: {connect_seconds: .nan}", "limits.connect_seconds: "),
    "endless": ("limits: {drain_seconds: .inf}", "limits.drain_seconds: "),
    "trust in a name": ("trusted_proxies: [example.com]", "trusted_proxies: expected networks"),
    "trust in text": ("trusted_proxies: 10.0.0.0/8", "trusted_proxies: "),
    "no workers": ("workers: 0", "workers: must be auto, or from 1 to 256"),
    "too many workers": ("workers: 1000", "workers: must be auto, or from 1 to 256"),
    "workers in words": ("workers: some", "workers: invalid enum value 'some' (expected one of auto, a number)"),
    "half a worker": ("workers: 1.5", "workers: "),
    "true workers": ("workers: true", "workers: "),
    "bad address": ("listen: here", "listen: expected host:port"),
    "bad port": ("admin_listen: 127.0.0.1:70000", "admin_listen: expected host:port"),
    "number as key": ("1: 2", ""),
    "no upstream": ("upstream: []", "upstream: required"),
    "upstreams of two schemes": ("upstream: [http://a, https://b]", "upstream: all addresses need the same scheme"),
    "upstreams of two paths": ("upstream: [http://a/x, http://b/y]", "upstream: all addresses need the same scheme"),
    "the same upstream twice": ("upstream: [https://a, https://A:443/]", "upstream: A:443 is there twice"),
    "one bad upstream": ("upstream: [http://a, http://u:planted@b]", "upstream: expected http://host:port"),
    "upstreams in a mapping": ("upstream: {a: http://b}", "upstream: "),
    "front proxy in the clear at one": (
        "{identity: front-proxy, upstream: [http://a, http://b], upstream_tls: {cert: a, key: b}}",
        "upstream: identity front-proxy needs https",
    ),
    "upstream scheme": ("upstream: ftp://a", "upstream: "),
    "upstream without host": ("upstream: http://", "upstream: "),
    "upstream port": ("upstream: http://a:99999", "upstream: "),
    "upstream with query": ("upstream: http://a/?b", "upstream: "),
    "upstream with user": ("upstream: http://u:planted@a", "upstream: "),
    "tls cert alone": ("tls: {cert: a}", "tls: cert and key belong together"),
    "upstream cert alone": ("upstream_tls: {key: a}", "upstream_tls: cert and key belong together"),
    "ca and insecure": ("upstream_tls: {ca: a, insecure: true}", "upstream_tls.insecure: "),
    "pass-through and token": ("upstream_token_file: a", "upstream_token_file: "),
    "pass-through and cert": ("upstream_tls: {cert: a, key: b}", "upstream_tls.cert: "),
    "pass-through and kubeconfig": ("{identity: pass-through, kubeconfig: a}", "kubeconfig: "),
    "identity of nobody": ("identity: proxy-identity", "identity: "),
    "identity for everybody": (
        "{identity: proxy-identity, upstream_token_file: a, listen: '0.0.0.0:1'}",
        "listen: ",
    ),
    "identity on all interfaces": ("{kubeconfig: a, listen: ':1'}", "listen: "),
    "identity on a name": ("{kubeconfig: a, listen: 'example.com:1'}", "listen: "),
    "front proxy for everybody": (
        "{identity: front-proxy, upstream: https://a, upstream_tls: {cert: a, key: b}}",
        "tls.client_ca: ",
    ),
    "front proxy without a word": (
        "{identity: front-proxy, upstream: https://a, tls: {cert: a, key: b, client_ca: c}}",
        "upstream_tls.cert: ",
    ),
    "front proxy in the clear": (
        "{identity: front-proxy, in_cluster: true, upstream: http://a, upstream_tls: {cert: a, key: b}}",
        "upstream: identity front-proxy needs https",
    ),
    "front proxy with a token": ("{identity: front-proxy, upstream_token_file: a}", "upstream_token_file: "),
    "front proxy with a kubeconfig": ("{identity: front-proxy, kubeconfig: a}", "kubeconfig: "),
    "no expression": ("filters: {accept_hosts: ['(']}", "filters.accept_hosts: not a regular expression"),
    "filters, perhaps": ("filters: {active: maybe}", "filters.active: "),
    "client CA without TLS": ("tls: {client_ca: a}", "tls.client_ca: "),
    "optional what": ("tls: {client_certificate: optional}", "tls.client_certificate: "),
    "odd client certificate": ("tls: {client_certificate: maybe}", "tls.client_certificate: "),
    "anyone may, but as whom": ("anyone_may_act_as_proxy: true", "anyone_may_act_as_proxy: "),
    "identity for some": (
        "{kubeconfig: a, listen: ':1', tls: {cert: a, key: b, client_ca: c, client_certificate: optional}}",
        "listen: ",
    ),
    "kubeconfig and TLS": ("{kubeconfig: a, upstream_tls: {insecure: true}}", "kubeconfig: "),
    "kubeconfig and token": ("{kubeconfig: a, upstream_token_file: b}", "kubeconfig: "),
    "in cluster and kubeconfig": ("{in_cluster: true, kubeconfig: a}", "in_cluster: "),
    "in cluster and token": (
        "{in_cluster: true, identity: proxy-identity, upstream_token_file: a}",
        "in_cluster: ",
    ),
    "context of nothing": ("context: a", "context: "),
    "a list": ("[1, 2]", ""),
    "text": ("hello", ""),
    "not YAML": ("a: [", ""),
    "control character": ("a: \x07", ""),
}


@pytest.mark.parametrize("what", FILES)
def test_bad_settings_are_one_line(tmp_path: Path, what: str) -> None:
    """What is wrong with a file is one line that begins with the key's path."""
    text, beginning = FILES[what]
    flags = {} if "upstream:" in text else UPSTREAM
    with pytest.raises(SettingsError) as caught:
        load(write(tmp_path, text), {}, flags)
    assert "\n" not in str(caught.value)
    assert "planted" not in str(caught.value)
    assert str(caught.value).startswith(beginning)


def test_missing_file_and_missing_upstream(tmp_path: Path) -> None:
    """A file that is not there, or not text, and an upstream that nobody named are one line each."""
    with pytest.raises(SettingsError, match=r"^/nowhere/x\.yaml: No such file or directory$"):
        load("/nowhere/x.yaml", {}, {})
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "binary", tmp_path):
        with pytest.raises(SettingsError) as caught:
            load(str(path), {}, {})
        assert "\n" not in str(caught.value)
    with pytest.raises(SettingsError, match=r"^upstream: required"):
        load(None, {}, {})


def test_settings_that_do_not_depend_on_the_proxy_identity(tmp_path: Path) -> None:
    """An own identity is fine on every loopback spelling, and a kubeconfig implies it."""
    for host in ("127.0.0.1", "127.0.0.2", "localhost", "[::1]"):
        assert load(write(tmp_path, f"{{kubeconfig: a, listen: '{host}:1'}}"), {}, {}).uses_own_identity
    assert not load(None, {}, UPSTREAM).uses_own_identity


@pytest.mark.parametrize("text", ["anyone_may_act_as_proxy: true", "tls: {cert: a, key: b, client_ca: c}"])
def test_own_identity_beyond_loopback(tmp_path: Path, text: str) -> None:
    """Where clients have to show certificates, or a setting says plainly what it does, all interfaces are fine."""
    assert load(write(tmp_path, f"{{kubeconfig: a, listen: ':1', {text}}}"), {}, {}).uses_own_identity


def test_lists_in_words() -> None:
    """A list of texts may be written as kubectl has it, or as YAML."""
    for text in ("^a$,^b$", "['^a$', '^b$']"):
        assert load(None, {}, {**UPSTREAM, "filters.accept_hosts": text}).filters.accept_hosts == ("^a$", "^b$")
        assert load(None, {"RESTREAM_FILTERS_ACCEPT_HOSTS": text}, UPSTREAM).filters.accept_hosts == ("^a$", "^b$")
    assert load(None, {}, {**UPSTREAM, "trusted_proxies": "10.0.0.0/8,::1"}).trusted_proxies == ("10.0.0.0/8", "::1")


def test_workers_in_words_are_refused() -> None:
    """A flag or a variable that is neither auto nor a whole number is one line."""
    for text in ("some", "1.5", "Auto", "-"):
        with pytest.raises(SettingsError, match=r"^workers: expected auto or a number, got '[^\n]*'$"):
            load(None, {}, {**UPSTREAM, "workers": text})
        with pytest.raises(SettingsError, match=r"^workers: "):
            load(None, {"RESTREAM_WORKERS": text}, UPSTREAM)


def test_several_upstreams(tmp_path: Path) -> None:
    """One URL or a list in the file, commas in the environment, a flag given more than once."""
    several = ("http://a:1", "http://b:2")
    assert load(write(tmp_path, "upstream: [http://a:1, http://b:2]"), {}, {}).upstreams == several
    assert load(None, {"RESTREAM_UPSTREAM": "http://a:1,http://b:2"}, {}).upstreams == several
    assert load(None, {"RESTREAM_UPSTREAM": "http://c:3"}, {"upstream": list(several)}).upstreams == several
    assert load(write(tmp_path, "upstream: [http://a:1]"), {}, {}) == load(None, {}, {"upstream": ["http://a:1"]})
    assert load(None, {}, {"upstream": ["http://a:1"]}).upstreams == ("http://a:1",)
    assert load(write(tmp_path, "upstream: [https://a/p/, https://b/p]"), {}, {}).upstreams[1] == "https://b/p"


def test_every_setting_has_a_path() -> None:
    """The list of settings is complete down to the nested ones."""
    keys = list(setting_kinds())
    assert len(keys) == len(set(keys))
    assert {"upstream", "tls.cert", "limits.drain_seconds", "paging.page_items"} <= set(keys)
