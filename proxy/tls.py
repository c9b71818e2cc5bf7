"""TLS on both sides: contexts that are built from files, and built anew when one of these has changed.

Certificates are short-lived; whoever renews them (cert-manager, a kubelet that swaps the ``..data`` of a volume) tells
nobody. So files are looked at when a connection is made. Where the new ones do not fit together, as between two writes,
the old ones stay in use.
"""

import logging
import os
import ssl
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

from proxy.settings import DownstreamTLS, SettingsError

logger = logging.getLogger("kube-restream")

Material = str | bytes
"""PEM: the path of a file, or the text itself."""

CHECK_SECONDS = 1.0
"""How often at most files are looked at for connections to the upstream, which are taken from the pool all the time."""

Signature = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class ClientMaterial:
    """What a context towards the upstream is made of. `key` is the setting to name in an error."""

    key: str
    ca: Material | None = None
    insecure: bool = False
    pair: tuple[Material, Material] | None = None

    @property
    def files(self) -> list[str]:
        """Return the files among it."""
        return [each for each in (self.ca, *(self.pair or ())) if isinstance(each, str)]


class Kept:
    """A context, built anew when a file has changed. Raises SettingsError where it cannot be built at first."""

    def __init__(self, build: Callable[[], ssl.SSLContext], files: Sequence[str], check_seconds: float = 0.0) -> None:
        self._build = build
        self._files = files
        self._check_seconds = check_seconds
        self._signatures = [*map(signature, files)]
        self._context = build()
        self._looked_at = monotonic()

    def get(self) -> ssl.SSLContext:
        """Return the context for a new connection."""
        now = monotonic()
        if self._files and now - self._looked_at >= self._check_seconds:
            self._looked_at = now
            signatures = [*map(signature, self._files)]
            if signatures != self._signatures:
                self._signatures = signatures
                self.renew()
        return self._context

    def look_at_once(self) -> None:
        """Look at the files for the next connection, however lately that was done."""
        self._looked_at = -self._check_seconds

    def renew(self) -> None:
        """Build the context anew; what is broken is told once and leaves the old one in use."""
        try:
            self._context = self._build()
        except SettingsError as error:
            logger.warning("%s; going on with what was read before", error)
        else:
            logger.info("read again: %s", ", ".join(self._files))


class ListenerTLS:
    """The context for a listener, which asyncio keeps for its life: each handshake is handed on to the newest one."""

    def __init__(self, tls: DownstreamTLS) -> None:
        """Read the files. Raises SettingsError."""
        self._kept = self.prepare(tls)
        self.context = self._kept.get()
        self.context.sni_callback = self._choose  # called in every handshake, whether the client names a server or not

    @staticmethod
    def prepare(tls: DownstreamTLS) -> Kept:
        """Return what other files make, to be used later. Raises SettingsError."""
        files = [file for file in (tls.cert, tls.key, tls.client_ca) if file]
        return Kept(lambda: _server_context(tls), files)

    def use(self, kept: Kept) -> None:
        """Hand handshakes on to another context; whether clients show certificates remains as it was (OpenSSL)."""
        self._kept = kept

    def _choose(self, handshake: ssl.SSLObject, _name: str | None, context: ssl.SSLContext) -> None:
        newest = self._kept.get()
        if newest is not context:
            handshake.context = newest


def keep_client_context(
    material: ClientMaterial, pair: Callable[[], tuple[Material, Material] | None] = lambda: None
) -> Kept:
    """Return the context for connections to the upstream; `pair` beats the material's. Raises SettingsError."""
    return Kept(lambda: client_context(replace(material, pair=pair() or material.pair)), material.files, CHECK_SECONDS)


def _server_context(tls: DownstreamTLS) -> ssl.SSLContext:
    """Return a context that offers HTTP/1.1 alone."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    _load_pair(context, (tls.cert or "", tls.key or ""), "tls")
    if tls.client_ca:
        _be_lenient(context)
        _load_ca(context, tls.client_ca, "tls.client_ca")
        context.verify_mode = ssl.CERT_REQUIRED if tls.client_certificate == "required" else ssl.CERT_OPTIONAL
        # A resumed session is not verified again, and would outlive a CA that is no longer trusted.
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET
    return context


def client_context(material: ClientMaterial) -> ssl.SSLContext:
    """Return a context towards the upstream. Raises SettingsError."""
    context = ssl.create_default_context() if material.ca is None else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if material.ca is not None:
        _load_ca(context, material.ca, f"{material.key}.ca")
    _be_lenient(context)
    if material.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    if material.pair:
        _load_pair(context, material.pair, material.key)
    return context


def _be_lenient(context: ssl.SSLContext) -> None:
    """Clusters of before Go 1.15 and home-made CAs lack key usage extensions that Python 3.13 began to demand."""
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)


def _load_ca(context: ssl.SSLContext, ca: Material, key: str) -> None:
    try:
        if isinstance(ca, str):
            context.load_verify_locations(cafile=ca)
        else:
            context.load_verify_locations(cadata=ca.decode("ascii"))
    except (OSError, ssl.SSLError) as error:
        name = ca if isinstance(ca, str) else ""
        raise SettingsError(f"{key}: {name}: {error.strerror or 'not a PEM certificate'}") from None


def _load_pair(context: ssl.SSLContext, pair: tuple[Material, Material], key: str) -> None:
    for name, material in zip(("cert", "key"), pair, strict=True):
        if isinstance(material, str) and not Path(material).is_file():
            raise SettingsError(f"{key}.{name}: {material}: no such file")
    try:
        with ExitStack() as stack:
            cert, private = (stack.enter_context(_as_file(material)) for material in pair)
            context.load_cert_chain(cert, private, password="")  # never prompt
    except (OSError, ssl.SSLError):
        names = [material if isinstance(material, str) else "its data" for material in pair]
        raise SettingsError(
            f"{key}: {names[0]} and {names[1]} are not a PEM certificate and its unencrypted key"
        ) from None


@contextmanager
def _as_file(material: Material) -> Iterator[str]:
    """Give PEM text a path, as Python loads a pair from files alone; on Linux a path that leads to memory."""
    if isinstance(material, str):
        yield material
    elif sys.platform == "linux":
        with os.fdopen(os.memfd_create("pem"), "wb", buffering=0) as memory:
            memory.write(material)
            yield f"/proc/self/fd/{memory.fileno()}"
    else:
        with tempfile.NamedTemporaryFile() as file:
            file.write(material)
            file.flush()
            yield file.name


def signature(file: str) -> Signature:
    """Return what differs where a file has changed: behind a symlink that was swapped is another inode."""
    try:
        status = os.stat(file)  # noqa: PTH116 (at each handshake: half of what Path takes)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
