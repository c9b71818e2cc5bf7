"""Where the upstream is and who the proxy is to it: from plain settings, or from a kubeconfig as kubectl proxy does."""

import base64
import re
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from proxy import kubeconfig
from proxy.addresses import check_url
from proxy.settings import DownstreamTLS, Settings, SettingsError, UpstreamTLS
from proxy.upstream.pool import Address

TOKEN = re.compile(rb"[\x21-\x7e]+")
"""RFC 6750 allows less; what matters here is that no line can end within."""


class Credential:
    """What the upstream is told about who asks, in place of everything that a client says about itself.

    `authorization` is empty where a client certificate says it. `key` is the setting to name in an error.
    """

    def __init__(self, authorization: bytes = b"", token_file: Path | None = None, key: str = "") -> None:
        self._authorization = authorization
        self._token_file = token_file
        self._key = key
        self._read_at: int | None = None
        if token_file:
            self._refresh(token_file)

    @property
    def authorization(self) -> bytes:
        """Return the value of the Authorization line; a token file is read again when it has changed."""
        if self._token_file:
            self._refresh(self._token_file)
        return self._authorization

    def _refresh(self, token_file: Path) -> None:
        """Kubelets rotate a Pod's service-account token in place, hourly by default.

        What cannot be read later on leaves the last good token in use.
        """
        try:
            changed_at = token_file.stat().st_mtime_ns
            if changed_at != self._read_at:
                self._authorization = bearer(token_file.read_bytes(), self._key)
                self._read_at = changed_at
        except OSError as error:
            if self._read_at is None:
                raise SettingsError(f"{self._key}: {token_file}: {error.strerror}") from None
        except SettingsError:
            if self._read_at is None:
                raise


def bearer(token: bytes, key: str) -> bytes:
    """Return the value of an Authorization line. Raises SettingsError where the token could end the line."""
    token = token.strip()
    if not TOKEN.fullmatch(token):
        raise SettingsError(f"{key}: not a token: empty, or with white space or control characters inside")
    return b"Bearer " + token


@dataclass(frozen=True, slots=True)
class Identity:
    """The upstream's address and, with `proxy-identity`, the proxy's own credential."""

    address: Address
    credential: Credential | None


def establish(settings: Settings) -> Identity:
    """Read every file that the settings name. Raises SettingsError with the key's path."""
    if settings.kubeconfig:
        return _from_kubeconfig(settings)
    credential = None
    if settings.uses_own_identity:
        credential = Credential(
            token_file=Path(settings.upstream_token_file) if settings.upstream_token_file else None,
            key="upstream_token_file",
        )
    return Identity(_address(settings.upstream or "", settings.upstream_tls, "upstream_tls"), credential)


def listener_tls(tls: DownstreamTLS) -> ssl.SSLContext | None:
    """Return the main listener's TLS context, None where it speaks plain HTTP. Raises SettingsError."""
    return server_tls(tls.cert, tls.key) if tls.cert and tls.key else None


def server_tls(cert: str, key: str) -> ssl.SSLContext:
    """Return the listener's TLS context; HTTP/1.1 is all that it offers. Raises SettingsError."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    _load_pair(context, cert, key, "tls")
    return context


def _address(url: str, tls: UpstreamTLS, path: str, ca_data: str | None = None) -> Address:
    parts = urlsplit(url)
    context = None
    if parts.scheme == "https":
        context = _client_tls(tls, path, ca_data)
    elif tls != UpstreamTLS():
        raise SettingsError(f"{path}: set, but the upstream is not https")
    port = parts.port or (443 if context else 80)
    return Address(parts.hostname or "", port, context, tls.server_name, parts.path.rstrip("/").encode())


def _client_tls(tls: UpstreamTLS, path: str, ca_data: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca, cadata=ca_data)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"{path}.ca: {tls.ca or ''}: {error.strerror or 'not a PEM certificate'}") from None
    # Clusters of before Go 1.15 and home-made CAs lack key usage extensions that Python 3.13 began to demand.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    if tls.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    if tls.cert and tls.key:
        _load_pair(context, tls.cert, tls.key, path)
    return context


def _load_pair(context: ssl.SSLContext, cert: str, key: str, path: str) -> None:
    for name, file in (("cert", cert), ("key", key)):
        if not Path(file).is_file():
            raise SettingsError(f"{path}.{name}: {file}: no such file")
    try:
        context.load_cert_chain(cert, key, password="")  # never prompt
    except (OSError, ssl.SSLError):
        raise SettingsError(f"{path}: {cert} and {key} are not a PEM certificate and its unencrypted key") from None


def _from_kubeconfig(settings: Settings) -> Identity:
    chosen = kubeconfig.choose(settings.kubeconfig or "", settings.context)
    cluster = chosen.cluster
    server = settings.upstream or cluster.server
    try:
        check_url(server)
    except ValueError:
        raise SettingsError(f"kubeconfig: cluster {chosen.cluster_name!r} has no usable server: {server!r}") from None
    if urlsplit(server).scheme == "http":
        return Identity(_address(server, UpstreamTLS(), "kubeconfig"), _credential(chosen))
    with tempfile.TemporaryDirectory() as scratch:
        cert, key = chosen.client_pair(Path(scratch))
        tls = UpstreamTLS(
            ca=chosen.path(cluster.certificate_authority),
            insecure=cluster.insecure_skip_tls_verify,
            server_name=cluster.tls_server_name,
            cert=cert,
            key=key,
        )
        address = _address(server, tls, "kubeconfig", chosen.ca_data())
    return Identity(address, _credential(chosen))


def _credential(chosen: kubeconfig.Chosen) -> Credential:
    user = chosen.user
    if user.token_file:
        return Credential(token_file=Path(chosen.path(user.token_file) or ""), key="kubeconfig: tokenFile")
    if user.token:
        return Credential(bearer(user.token.encode(), "kubeconfig: token"))
    if user.username:
        return Credential(b"Basic " + base64.b64encode(f"{user.username}:{user.password or ''}".encode()))
    return Credential()
