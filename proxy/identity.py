"""Where the upstream is and who the proxy is to it: from plain settings, or from a kubeconfig as kubectl proxy does."""

import base64
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from proxy import kubeconfig
from proxy.addresses import check_url
from proxy.settings import DownstreamTLS, Settings, SettingsError, UpstreamTLS
from proxy.tls import ClientMaterial, ListenerTLS, keep_client_context
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
    """The upstream's address and, with `proxy-identity`, the proxy's own credential.

    A front proxy's credential is its certificate, which is a matter of TLS alone.
    """

    address: Address
    credential: Credential | None
    is_front_proxy: bool = False


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
    url, tls = settings.upstream or "", settings.upstream_tls
    if tls != UpstreamTLS() and urlsplit(url).scheme != "https":
        raise SettingsError("upstream_tls: set, but the upstream is not https")
    material = ClientMaterial(
        "upstream_tls", tls.ca, tls.insecure, (tls.cert, tls.key) if tls.cert and tls.key else None
    )
    address = _address(url, tls.server_name, material)
    return Identity(address, credential, settings.effective_identity == "front-proxy")


def listener_tls(tls: DownstreamTLS) -> ssl.SSLContext | None:
    """Return the main listener's TLS context, None where it speaks plain HTTP. Raises SettingsError."""
    return ListenerTLS(tls).context if tls.cert and tls.key else None


def _address(url: str, server_name: str | None, material: ClientMaterial) -> Address:
    parts = urlsplit(url)
    tls = keep_client_context(material) if parts.scheme == "https" else None
    port = parts.port or (443 if tls else 80)
    return Address(parts.hostname or "", port, tls, server_name, parts.path.rstrip("/").encode())


def _from_kubeconfig(settings: Settings) -> Identity:
    chosen = kubeconfig.choose(settings.kubeconfig or "", settings.context)
    cluster = chosen.cluster
    server = settings.upstream or cluster.server
    try:
        check_url(server)
    except ValueError:
        raise SettingsError(f"kubeconfig: cluster {chosen.cluster_name!r} has no usable server: {server!r}") from None
    ca = chosen.ca()
    material = ClientMaterial("kubeconfig", ca, cluster.insecure_skip_tls_verify, chosen.client_pair())
    return Identity(_address(server, cluster.tls_server_name, material), _credential(chosen))


def _credential(chosen: kubeconfig.Chosen) -> Credential:
    user = chosen.user
    if user.token_file:
        return Credential(token_file=Path(chosen.path(user.token_file) or ""), key="kubeconfig: tokenFile")
    if user.token:
        return Credential(bearer(user.token.encode(), "kubeconfig: token"))
    if user.username:
        return Credential(b"Basic " + base64.b64encode(f"{user.username}:{user.password or ''}".encode()))
    return Credential()
