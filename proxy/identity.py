"""Where the upstream is and who the proxy is to it: from plain settings, or from a kubeconfig as kubectl proxy does."""

import base64
import binascii
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from proxy.settings import Settings, SettingsError, UpstreamTLS
from proxy.upstream.pool import Address

UNSUPPORTED_USERS = ("exec", "auth-provider")


class Credential:
    """What the upstream is told about who asks, in place of everything that a client says about itself.

    `authorization` is empty where a client certificate says it.
    """

    def __init__(self, authorization: bytes = b"", token_file: Path | None = None) -> None:
        self._authorization = authorization
        self._token_file = token_file
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
        """Kubelets rotate a Pod's service-account token in place, hourly by default."""
        try:
            changed_at = token_file.stat().st_mtime_ns
            if changed_at != self._read_at:
                self._authorization = b"Bearer " + token_file.read_bytes().strip()
                self._read_at = changed_at
        except OSError as error:
            if self._read_at is None:
                raise SettingsError(f"upstream_token_file: {token_file}: {error.strerror}") from None


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
        credential = Credential(token_file=Path(settings.upstream_token_file) if settings.upstream_token_file else None)
    return Identity(_address(settings.upstream or "", settings.upstream_tls, "upstream_tls"), credential)


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


# --- kubeconfig -------------------------------------------------------------------------------------------------------


def _from_kubeconfig(settings: Settings) -> Identity:
    file = Path(settings.kubeconfig or "").expanduser()
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"kubeconfig: {file}: {getattr(error, 'strerror', None) or 'not YAML'}") from None
    if not isinstance(config, dict):
        raise SettingsError(f"kubeconfig: {file}: not a kubeconfig")
    name = settings.context or config.get("current-context")
    context = _named(config, "contexts", name).get("context") or {}
    cluster = _named(config, "clusters", context.get("cluster")).get("cluster") or {}
    user = (_named(config, "users", context["user"]).get("user") or {}) if context.get("user") else {}
    for kind in UNSUPPORTED_USERS:
        if kind in user:
            raise SettingsError(
                f"kubeconfig: user {context['user']!r} authenticates by {kind}, which is not supported yet"
            )
    with tempfile.TemporaryDirectory() as scratch:  # Python loads a client key from a file alone
        tls = UpstreamTLS(
            ca=_path(file, cluster.get("certificate-authority")),
            insecure=bool(cluster.get("insecure-skip-tls-verify")),
            server_name=cluster.get("tls-server-name"),
            cert=_material(file, user, "client-certificate", scratch),
            key=_material(file, user, "client-key", scratch),
        )
        ca_data = cluster.get("certificate-authority-data")
        server = settings.upstream or cluster.get("server") or ""
        if urlsplit(server).scheme not in ("http", "https"):
            raise SettingsError(f"kubeconfig: cluster {context.get('cluster')!r} has no server")
        if urlsplit(server).scheme == "http":
            tls, ca_data = UpstreamTLS(), None
        address = _address(
            server, tls, "kubeconfig", _decode(ca_data, "certificate-authority-data") if ca_data else None
        )
    return Identity(address, _credential(file, user))


def _named(config: dict[str, Any], section: str, name: object) -> dict[str, Any]:
    for entry in config.get(section) or []:
        if isinstance(entry, dict) and entry.get("name") == name:
            return entry
    raise SettingsError(f"kubeconfig: no {section.removesuffix('s')} called {name!r}")


def _credential(file: Path, user: dict[str, Any]) -> Credential:
    if user.get("tokenFile"):
        return Credential(token_file=Path(_path(file, user["tokenFile"]) or ""))
    if user.get("token"):
        return Credential(b"Bearer " + str(user["token"]).encode())
    if user.get("username"):
        pair = f"{user['username']}:{user.get('password', '')}".encode()
        return Credential(b"Basic " + base64.b64encode(pair))
    return Credential()


def _material(file: Path, user: dict[str, Any], key: str, scratch: str) -> str | None:
    data = user.get(f"{key}-data")
    if not data:
        return _path(file, user.get(key))
    path = Path(scratch) / key
    path.touch(mode=0o600)
    path.write_text(_decode(data, f"{key}-data"), encoding="ascii")
    return str(path)


def _path(file: Path, name: str | None) -> str | None:
    """Paths in a kubeconfig are relative to it."""
    return str(file.parent / name) if name else None


def _decode(data: str, key: str) -> str:
    try:
        return base64.b64decode(data, validate=False).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        raise SettingsError(f"kubeconfig: {key} is not base64 of PEM") from None
