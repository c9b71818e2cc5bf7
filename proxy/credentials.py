"""The proxy's own credential: who the upstream is told that asks, in place of all that a client says of itself."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from proxy.core.errors import CredentialError
from proxy.settings import SettingsError
from proxy.tls import signature

logger = logging.getLogger("kube-restream")

TOKEN = re.compile(rb"[\x21-\x7e]+")
"""RFC 6750 allows less; what matters here is that no line can end within."""

PAUSE_SECONDS = 5.0
"""Between two attempts to obtain a credential: a plugin that fails, or an upstream that refuses, is not hammered."""

Pair = tuple[bytes, bytes]


class Credential:
    """A credential that stays what it is. `authorization` is empty where a client certificate says it."""

    def __init__(self, authorization: bytes = b"") -> None:
        self._authorization = authorization

    async def authorize(self) -> bytes:
        """Return the value of the Authorization line. Raises CredentialError."""
        return self._authorization

    @property
    def at_hand(self) -> bytes:
        """Return what `authorize` would, without obtaining anything; empty where that would be needed."""
        return self._authorization

    def refuse(self, authorization: bytes) -> None:
        """Take that the upstream has answered 401 to this."""

    async def close(self) -> None:
        """Stop whatever is under way."""


class TokenFile(Credential):
    """A token in a file, read again when that has changed. `key` is the setting to name in an error.

    Kubelets rotate a Pod's service-account token, hourly by default, by a symlink that they swap. What cannot be read
    later on leaves the last good token in use.
    """

    def __init__(self, file: Path, key: str) -> None:
        """Read the file. Raises SettingsError."""
        self._file = file
        self._key = key
        try:
            self._read()
        except OSError as error:
            raise SettingsError(f"{key}: {file}: {error.strerror}") from None

    async def authorize(self) -> bytes:  # noqa: D102
        try:
            if self._signature != signature(str(self._file)):
                self._read()
        except (OSError, SettingsError) as error:
            logger.debug("%s: %s", self._key, type(error).__name__)
        return self._authorization

    def _read(self) -> None:
        seen = signature(str(self._file))
        self._authorization = bearer(self._file.read_bytes(), self._key)
        self._signature = seen


@dataclass(frozen=True, slots=True)
class Obtained:
    """A credential that was obtained from somewhere: a token, a client certificate with its key, or both."""

    authorization: bytes = b""
    pair: Pair | None = None
    expires: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Whether its time has come."""
        return self.expires is not None and datetime.now(UTC) >= self.expires

    def __repr__(self) -> str:
        """Tell nothing of it."""
        return f"Obtained(expires={self.expires})"


class Renewed(Credential):
    """A credential that is obtained when it is needed, and again when it expires or the upstream refuses it.

    `obtain` raises CredentialError; `changed` is called when there is another client certificate. As in client-go, the
    request that was refused is answered with its 401; the next one has the new credential.
    """

    def __init__(self, obtain: Callable[[], Awaitable[Obtained]]) -> None:
        self.changed: Callable[[], None] = lambda: None
        self._obtain = obtain
        self._current: Obtained | None = None
        self._is_refused = False
        self._tried_at: float | None = None
        self._problem = ""
        self._task: asyncio.Task[None] | None = None

    @property
    def pair(self) -> Pair | None:
        """Return the client certificate and its key, where there is one."""
        return self._current.pair if self._current is not None else None

    @property
    def at_hand(self) -> bytes:  # noqa: D102
        current = self._current
        return current.authorization if current is not None and not current.is_over else b""

    async def authorize(self) -> bytes:
        """Return the value of the Authorization line; whoever comes while it is obtained waits for it as well."""
        if self._current is None or self._current.is_over or self._is_refused:
            if self._task is None and not self._is_pausing:
                self._task = asyncio.get_running_loop().create_task(self._renew())
            if self._task is not None:
                await asyncio.shield(self._task)
        if self._current is None or self._current.is_over:
            raise CredentialError(self._problem or "the credential that was obtained had expired already")
        return self._current.authorization

    def refuse(self, authorization: bytes) -> None:  # noqa: D102
        if self._current is not None and self._current.authorization == authorization:
            self._is_refused = True

    @property
    def _is_pausing(self) -> bool:
        return self._tried_at is not None and monotonic() - self._tried_at < PAUSE_SECONDS

    async def _renew(self) -> None:
        before = self.pair
        try:
            self._current, self._problem = await self._obtain(), ""
        except CredentialError as error:
            self._problem = str(error)
        else:
            if self.pair != before:
                self.changed()
        finally:
            self._is_refused = False
            self._tried_at = monotonic()
            self._task = None

    async def close(self) -> None:  # noqa: D102
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])


def bearer(token: bytes, key: str) -> bytes:
    """Return the value of an Authorization line. Raises SettingsError where the token could end the line."""
    token = token.strip()
    if not TOKEN.fullmatch(token):
        raise SettingsError(f"{key}: not a token: empty, or with white space or control characters inside")
    return b"Bearer " + token
