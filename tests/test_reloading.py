"""What of the settings may change while the proxy runs, and what the rest means for it."""

import pytest
from prometheus_client import CollectorRegistry

from proxy.reloading import Account, with_what_is_fixed
from proxy.settings import DownstreamTLS, Limits, Settings, SettingsError

RUNNING = Settings(upstream="http://127.0.0.1:1")
PAIR = DownstreamTLS(cert="a", key="a")


@pytest.mark.parametrize(
    ("before", "read", "kept"),
    [
        ({}, {"mode": "raw", "limits": Limits(drain_seconds=1), "upstream": "https://x"}, []),
        ({}, {"listen": "127.0.0.1:1"}, ["listen"]),
        ({}, {"admin_listen": ":1", "workers": 2}, ["admin_listen", "workers"]),
        ({}, {"tls": PAIR}, ["tls"]),
        ({"tls": PAIR}, {}, ["tls"]),
        ({"tls": PAIR}, {"tls": DownstreamTLS(cert="b", key="b")}, []),
        ({"tls": PAIR}, {"tls": DownstreamTLS(cert="a", key="a", client_ca="c")}, ["tls"]),
        (
            {"tls": DownstreamTLS(cert="a", key="a", client_ca="c")},
            {"tls": DownstreamTLS(cert="a", key="a", client_ca="c", client_certificate="optional")},
            ["tls"],
        ),
    ],
)
def test_what_takes_a_restart(before: dict[str, object], read: dict[str, object], kept: list[str]) -> None:
    """Sockets, processes and whether there is TLS stay; everything else is as it was read."""
    running = Settings(**{"upstream": "http://127.0.0.1:1", **before})  # type: ignore[arg-type]
    wanted = Settings(**{"upstream": "http://127.0.0.1:1", **read})  # type: ignore[arg-type]
    settings, told = with_what_is_fixed(running, wanted)
    assert told == kept
    for name in Settings.__struct_fields__:
        assert getattr(settings, name) == getattr(running if name in kept else wanted, name)


def test_what_is_safe_is_judged_by_what_is_listened_on() -> None:
    """A file that is safe by itself is refused where its loopback address is not the one in use."""
    running = Settings(upstream="http://127.0.0.1:1", listen=":8001")
    read = Settings(upstream="http://127.0.0.1:1", upstream_token_file="token", identity="proxy-identity")
    with pytest.raises(SettingsError, match=r"^listen: with identity proxy-identity whoever connects acts"):
        with_what_is_fixed(running, read)


def test_the_account() -> None:
    """The metrics begin as after a success; a failure leaves the time of the last one."""
    registry = CollectorRegistry()
    lines: list[str] = []
    account = Account(registry, lines.append)

    def good() -> float | None:
        return registry.get_sample_value("restream_config_last_reload_successful")

    def good_at() -> float:
        return registry.get_sample_value("restream_config_last_reload_success_timestamp_seconds") or 0

    began = good_at()
    assert good() == 1
    assert began > 0
    account.note_failure("mode: wrong")
    assert (good(), good_at()) == (0, began)
    account.note(["listen", "tls"])
    assert good() == 1
    assert good_at() > began
    assert lines == [
        "mode: wrong; going on with the settings read before",
        "settings read again, but for listen, tls: to change that takes a restart",
    ]
