"""A kubeconfig, as far as the proxy reads it: the address, CA and credential of one context.

Exec plugins and auth providers are refused rather than ignored: without them the proxy would be anonymous.
"""

import base64
import binascii
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import yaml

from proxy.settings import SettingsError, explain
from proxy.tls import Material


class Cluster(msgspec.Struct, frozen=True, rename="kebab"):
    """Where a cluster is and how to know it."""

    server: str = ""
    certificate_authority: str | None = None
    certificate_authority_data: str | None = None
    insecure_skip_tls_verify: bool = False
    tls_server_name: str | None = None


class User(msgspec.Struct, frozen=True, rename="kebab"):
    """Who to be."""

    token: str | None = None
    token_file: str | None = msgspec.field(name="tokenFile", default=None)
    username: str | None = None
    password: str | None = None
    client_certificate: str | None = None
    client_certificate_data: str | None = None
    client_key: str | None = None
    client_key_data: str | None = None
    exec: dict[str, Any] | None = None
    auth_provider: dict[str, Any] | None = None


class Context(msgspec.Struct, frozen=True):
    """Which user at which cluster."""

    cluster: str = ""
    user: str = ""


class NamedCluster(msgspec.Struct, frozen=True):
    """An entry of ``clusters``."""

    name: str
    cluster: Cluster | None = None


class NamedUser(msgspec.Struct, frozen=True):
    """An entry of ``users``."""

    name: str
    user: User | None = None


class NamedContext(msgspec.Struct, frozen=True):
    """An entry of ``contexts``."""

    name: str
    context: Context | None = None


class Kubeconfig(msgspec.Struct, frozen=True, rename="kebab"):
    """The file (k8s.io/client-go/tools/clientcmd/api/v1, Config)."""

    clusters: list[NamedCluster] | None = None
    users: list[NamedUser] | None = None
    contexts: list[NamedContext] | None = None
    current_context: str = ""


class Chosen(msgspec.Struct, frozen=True):
    """One context's cluster and user; relative paths are relative to `folder`."""

    folder: Path
    cluster_name: str
    cluster: Cluster
    user: User

    def path(self, name: str | None) -> str | None:
        """Return where a file that the kubeconfig names is."""
        return str(self.folder / name) if name else None

    def client_pair(self) -> tuple[Material, Material] | None:
        """Return the client certificate and its key. Raises SettingsError for one without the other."""
        user = self.user
        cert = self._material("client-certificate", user.client_certificate, user.client_certificate_data)
        key = self._material("client-key", user.client_key, user.client_key_data)
        if cert is None and key is None:
            return None
        if cert is None or key is None:
            raise SettingsError("kubeconfig: client-certificate and client-key belong together")
        return cert, key

    def ca(self) -> Material | None:
        """Return the CA certificates."""
        cluster = self.cluster
        return self._material(
            "certificate-authority", cluster.certificate_authority, cluster.certificate_authority_data
        )

    def _material(self, name: str, path: str | None, data: str | None) -> Material | None:
        """Return PEM; data beats a file, as for client-go."""
        return _decode(data, f"{name}-data") if data else self.path(path)


def choose(path: str, context: str | None) -> Chosen:
    """Read the file and pick `context`, or its current one. Raises SettingsError, which never quotes a value."""
    file = Path(path).expanduser()
    config = _read(file)
    named = _find(config.contexts, "context", context or config.current_context).context or Context()
    cluster = _find(config.clusters, "cluster", named.cluster).cluster or Cluster()
    user = (_find(config.users, "user", named.user).user if named.user else None) or User()
    for kind, value in (("exec", user.exec), ("auth-provider", user.auth_provider)):
        if value is not None:
            raise SettingsError(f"kubeconfig: user {named.user!r} authenticates by {kind}, which is not supported yet")
    return Chosen(file.parent, named.cluster, cluster, user)


def _read(file: Path) -> Kubeconfig:
    try:
        loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"kubeconfig: {file}: {getattr(error, 'strerror', None) or 'not YAML'}") from None
    try:
        return msgspec.convert(loaded, Kubeconfig)
    except msgspec.ValidationError as error:
        raise SettingsError(f"kubeconfig: {explain(str(error))}") from None


Named = TypeVar("Named", NamedCluster, NamedUser, NamedContext)


def _find(entries: list[Named] | None, kind: Literal["cluster", "user", "context"], name: str) -> Named:
    for entry in entries or []:
        if entry.name == name:
            return entry
    raise SettingsError(f"kubeconfig: no {kind} called {name!r}")


def _decode(data: str, key: str) -> bytes:
    try:
        text = base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        text = b""
    if not text or not text.isascii():
        raise SettingsError(f"kubeconfig: {key} is not base64 of PEM")
    return text
