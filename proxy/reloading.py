"""Settings that are read again while the proxy runs: what of them can change, and how it went."""

from collections.abc import Callable

import msgspec
from prometheus_client import CollectorRegistry, Gauge

from proxy import refusals
from proxy.settings import DownstreamTLS, Settings

FIXED = ("listen", "admin_listen", "workers")
"""What sockets and processes were made of."""


class Account:
    """Tells how reading the settings went, in metrics as Prometheus' own and in one line."""

    def __init__(self, registry: CollectorRegistry, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._is_good = Gauge(
            "restream_config_last_reload_successful",
            "Whether the settings were good when they were last read.",
            registry=registry,
        )
        self._good_at = Gauge(
            "restream_config_last_reload_success_timestamp_seconds",
            "When settings that were good were last read.",
            registry=registry,
        )
        self._note_success()

    def note(self, kept: list[str]) -> None:
        """Take that the settings are in force, but for those whose change takes a restart."""
        self._note_success()
        but = f", but for {', '.join(kept)}: to change that takes a restart" if kept else ""
        self._tell(f"settings read again{but}")

    def note_failure(self, problem: object) -> None:
        """Take why they are not."""
        self._is_good.set(0)
        self._tell(f"{problem}; going on with the settings read before")

    def _note_success(self) -> None:
        self._is_good.set(1)
        self._good_at.set_to_current_time()


def with_what_is_fixed(before: Settings, read: Settings) -> tuple[Settings, list[str]]:
    """Return the settings to go on with, and what of those that were read takes a restart.

    What goes together is judged anew: a credential that whoever connects may use is safe on the loopback address that
    the settings now name, but not on the one that is listened on. Raises SettingsError.
    """
    kept = [key for key in FIXED if getattr(read, key) != getattr(before, key)]
    changes = {key: getattr(before, key) for key in kept}
    if _kind_of(read.tls) != _kind_of(before.tls):
        kept.append("tls")
        changes["tls"] = before.tls
    settings = msgspec.structs.replace(read, **changes)
    refusals.check(settings)
    return settings, kept


def _kind_of(tls: DownstreamTLS) -> tuple[object, ...]:
    """Return what of TLS a listener keeps for its life; the files may be others."""
    return tls.cert is None, tls.client_ca is None, tls.client_certificate
