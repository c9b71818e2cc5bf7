"""Kubeconfigs, as far as the proxy reads them: the address, CA and credential of one context.

What would make the proxy somebody else than kubectl with the same file is refused rather than ignored.
"""

import base64
import binascii
import os
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import yaml

from proxy.settings import SettingsError, explain
from proxy.tls import Material


class Extension(msgspec.Struct, frozen=True):
    """What somebody else keeps with a cluster."""

    name: str = ""
    extension: Any = None


class Cluster(msgspec.Struct, frozen=True, rename="kebab"):
    """Where a cluster is and how to know it."""

    server: str = ""
    certificate_authority: str | None = None
    certificate_authority_data: str | None = None
    insecure_skip_tls_verify: bool = False
    tls_server_name: str | None = None
    proxy_url: str | None = None
    extensions: list[Extension] | None = None


class Variable(msgspec.Struct, frozen=True):
    """An environment variable of an exec plugin."""

    name: str
    value: str


class Exec(msgspec.Struct, frozen=True, rename="camel"):
    """A command that prints a credential (client.authentication.k8s.io)."""

    api_version: str
    command: str
    args: list[str] | None = None
    env: list[Variable] | None = None
    install_hint: str = ""
    provide_cluster_info: bool = False
    interactive_mode: str = "IfAvailable"


class AuthProvider(msgspec.Struct, frozen=True):
    """What was there before exec plugins; of these oidc is left."""

    name: str
    config: dict[str, str] | None = None


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
    impersonated: str | None = msgspec.field(name="as", default=None)
    exec: Exec | None = None
    auth_provider: AuthProvider | None = None


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
    """One context's cluster and user; the paths of files are absolute."""

    cluster_name: str
    cluster: Cluster
    user: User

    def client_pair(self) -> tuple[Material, Material] | None:
        """Return the client certificate and its key. Raises SettingsError for one without the other."""
        user = self.user
        cert = _material("client-certificate", user.client_certificate, user.client_certificate_data)
        key = _material("client-key", user.client_key, user.client_key_data)
        if cert is None and key is None:
            return None
        if cert is None or key is None:
            raise SettingsError("kubeconfig: client-certificate and client-key belong together")
        return cert, key

    def ca(self) -> Material | None:
        """Return the CA certificates."""
        cluster = self.cluster
        return _material("certificate-authority", cluster.certificate_authority, cluster.certificate_authority_data)


def choose(paths: str, context: str | None) -> Chosen:
    """Read one file, or several as $KUBECONFIG has them, and pick `context`, or the current one.

    Of several the first that has an entry counts, and those that are not there do not. Raises SettingsError, which
    never quotes a value.
    """
    files = [Path(path).expanduser() for path in paths.split(os.pathsep) if path]
    if len(files) > 1:
        files = [file for file in files if file.exists()] or files[:1]
    configs = [_read(file) for file in files]
    current = context or next((config.current_context for config in configs if config.current_context), "")
    named = _find([config.contexts for config in configs], "context", current).context or Context()
    cluster = _find([config.clusters for config in configs], "cluster", named.cluster).cluster or Cluster()
    users = [config.users for config in configs]
    user = (_find(users, "user", named.user).user if named.user else None) or User()
    if user.impersonated:
        raise SettingsError(f"kubeconfig: user {named.user!r} acts as somebody else (as), which is not supported")
    if cluster.proxy_url:
        raise SettingsError(f"kubeconfig: cluster {named.cluster!r} has a proxy-url, which is not supported")
    return Chosen(named.cluster, cluster, user)


def _read(file: Path) -> Kubeconfig:
    try:
        loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"kubeconfig: {file}: {getattr(error, 'strerror', None) or 'not YAML'}") from None
    try:
        config = msgspec.convert(loaded, Kubeconfig)
    except msgspec.ValidationError as error:
        raise SettingsError(f"kubeconfig: {explain(str(error))}") from None
    return _resolve(config, file.parent.absolute())


def _resolve(config: Kubeconfig, folder: Path) -> Kubeconfig:
    """Make the paths in a kubeconfig, which are relative to it, absolute."""

    def resolve(name: str | None) -> str | None:
        return str(folder / name) if name else None

    replace = msgspec.structs.replace
    clusters, users = [], []
    for entry in config.clusters or []:
        cluster = entry.cluster or Cluster()
        cluster = replace(cluster, certificate_authority=resolve(cluster.certificate_authority))
        clusters.append(replace(entry, cluster=cluster))
    for named in config.users or []:
        user = named.user or User()
        plugin = user.exec
        if plugin and os.sep in plugin.command:  # else it is looked for in $PATH
            plugin = replace(plugin, command=str(folder / plugin.command))
        user = replace(
            user,
            token_file=resolve(user.token_file),
            client_certificate=resolve(user.client_certificate),
            client_key=resolve(user.client_key),
            exec=plugin,
        )
        users.append(replace(named, user=user))
    return replace(config, clusters=clusters, users=users)


def _material(name: str, path: str | None, data: str | None) -> Material | None:
    """Return PEM; data beats a file, as for client-go."""
    return decode(data, f"{name}-data") if data else path


Named = TypeVar("Named", NamedCluster, NamedUser, NamedContext)


def _find(files: list[list[Named] | None], kind: Literal["cluster", "user", "context"], name: str) -> Named:
    for entries in files:
        for entry in entries or []:
            if entry.name == name:
                return entry
    raise SettingsError(f"kubeconfig: no {kind} called {name!r}")


def decode(data: str, key: str) -> bytes:
    """Return the PEM text behind base64. Raises SettingsError."""
    try:
        text = base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        text = b""
    if not text or not text.isascii():
        raise SettingsError(f"kubeconfig: {key} is not base64 of PEM")
    return text
