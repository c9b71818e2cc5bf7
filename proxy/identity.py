"""Where the upstream is and who the proxy is to it: from plain settings, or from a kubeconfig as kubectl proxy does."""

import base64
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from proxy import kubeconfig
from proxy.addresses import check_url, shown
from proxy.credentials import Credential, Pair, Renewed, TokenFile, bearer
from proxy.execplugin import ExecPlugin
from proxy.settings import DownstreamTLS, Settings, SettingsError, UpstreamTLS
from proxy.tls import ClientMaterial, ListenerTLS, keep_client_context
from proxy.upstream.place import Address

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a Pod finds its token and the cluster's CA (InClusterConfig in client-go)."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The upstream's addresses and, with `proxy-identity`, the proxy's own credential.

    A front proxy's credential is its certificate, which is a matter of TLS alone.
    """

    addresses: tuple[Address, ...]
    credential: Credential | None
    is_front_proxy: bool = False

    def at_hand(self) -> bytes:
        """Return the value of an Authorization line, empty where there is none without waiting for it."""
        return self.credential.at_hand if self.credential is not None else b""

    async def close(self) -> None:
        """Stop to obtain a credential."""
        if self.credential is not None:
            await self.credential.close()


def establish(settings: Settings) -> Identity:
    """Read every file that the settings name. Raises SettingsError with the key's path."""
    if settings.kubeconfig:
        return _from_kubeconfig(settings)
    urls, tls, token_file = settings.upstreams, settings.upstream_tls, settings.upstream_token_file
    ca, key = tls.ca, "upstream_token_file"
    if settings.in_cluster:
        urls = urls or (_in_cluster_url(),)
        ca, token_file, key = str(SERVICE_ACCOUNT / "ca.crt"), str(SERVICE_ACCOUNT / "token"), "in_cluster"
    elif tls != UpstreamTLS() and urlsplit(urls[0]).scheme != "https":
        raise SettingsError("upstream_tls: set, but the upstream is not https")
    credential = None
    if settings.uses_own_identity:
        credential = TokenFile(Path(token_file), key) if token_file else Credential()
    pair = (tls.cert, tls.key) if tls.cert and tls.key else None
    material = ClientMaterial("in_cluster" if settings.in_cluster else "upstream_tls", ca, tls.insecure, pair)
    return Identity(
        _addresses(urls, tls.server_name, material), credential, settings.effective_identity == "front-proxy"
    )


def _in_cluster_url() -> str:
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        raise SettingsError("in_cluster: KUBERNETES_SERVICE_HOST and _PORT are not set: not in a Pod?")
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def listener_tls(tls: DownstreamTLS) -> ssl.SSLContext | None:
    """Return the main listener's TLS context, None where it speaks plain HTTP. Raises SettingsError."""
    return ListenerTLS(tls).context if tls.cert and tls.key else None


def _addresses(
    urls: tuple[str, ...],
    server_name: str | None,
    material: ClientMaterial,
    pair: Callable[[], Pair | None] = lambda: None,
) -> tuple[Address, ...]:
    """Return the addresses, with one TLS context for all; `pair` is a client certificate that comes and goes."""
    tls = keep_client_context(material, pair) if urlsplit(urls[0]).scheme == "https" else None
    addresses = []
    for parts in map(urlsplit, urls):
        port = parts.port or (443 if tls else 80)
        addresses.append(Address(parts.hostname or "", port, tls, server_name, parts.path.rstrip("/").encode()))
    return tuple(addresses)


def _from_kubeconfig(settings: Settings) -> Identity:
    chosen = kubeconfig.choose(settings.kubeconfig or "", settings.context)
    cluster = chosen.cluster
    servers = settings.upstreams or (cluster.server,)
    try:
        check_url(servers[0])
    except ValueError:
        raise SettingsError(
            f"kubeconfig: cluster {chosen.cluster_name!r} has no usable server: {shown(servers[0])!r}"
        ) from None
    credential = _credential(chosen)
    material = ClientMaterial("kubeconfig", chosen.ca(), cluster.insecure_skip_tls_verify, chosen.client_pair())
    if not isinstance(credential, Renewed):
        return Identity(_addresses(servers, cluster.tls_server_name, material), credential)
    addresses = _addresses(servers, cluster.tls_server_name, material, lambda: credential.pair)
    tls = addresses[0].tls
    if tls is not None:
        credential.changed = tls.renew
    return Identity(addresses, credential)


def _credential(chosen: kubeconfig.Chosen) -> Credential:
    """Return the credential, by client-go's order of precedence."""
    user = chosen.user
    if user.token_file:
        return TokenFile(Path(user.token_file), "kubeconfig: tokenFile")
    if user.token:
        return Credential(bearer(user.token.encode(), "kubeconfig: token"))
    if user.username:
        return Credential(b"Basic " + base64.b64encode(f"{user.username}:{user.password or ''}".encode()))
    if user.exec:
        return Renewed(ExecPlugin(user.exec, chosen.cluster).obtain)
    if user.auth_provider:
        return _from_auth_provider(user.auth_provider)
    return Credential()


def _from_auth_provider(provider: kubeconfig.AuthProvider) -> Credential:
    if provider.name != "oidc":
        raise SettingsError(f"kubeconfig: auth-provider {provider.name!r} has left Kubernetes; use its exec plugin")
    from proxy.oidc import OIDC  # noqa: PLC0415 (urllib's client is 3 MiB for the few that need it)

    return Renewed(OIDC(provider.config or {}).obtain)
