"""Exec plugins: commands that print a credential (client.authentication.k8s.io/v1, ExecCredential).

What a plugin prints is never quoted, and what it says on standard error, which may be anything, is dropped.
"""

import asyncio
import json
import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from proxy.core.errors import CredentialError
from proxy.credentials import Obtained, bearer
from proxy.kubeconfig import Cluster, Exec
from proxy.settings import SettingsError

VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")

CLUSTER_EXTENSION = "client.authentication.k8s.io/exec"
"""The extension of a cluster in which plugins are told more."""

PATIENCE_SECONDS = 60.0
"""Plugins ask servers of their own, and give up on these themselves."""

MAX_BYTES = 1 << 20


class Status(msgspec.Struct, frozen=True, rename="camel"):
    """What a plugin has to tell."""

    token: str = ""
    client_certificate_data: str = ""
    client_key_data: str = ""
    expiration_timestamp: datetime | None = None


class ExecCredential(msgspec.Struct, frozen=True, rename="camel"):
    """What a plugin prints."""

    api_version: str
    kind: str
    status: Status


class ExecPlugin:
    """A kubeconfig's command. Raises SettingsError for one that cannot run here."""

    def __init__(self, plugin: Exec, cluster: Cluster) -> None:
        if plugin.api_version not in VERSIONS:
            raise SettingsError(f"kubeconfig: exec: apiVersion is none of {', '.join(VERSIONS)}")
        if plugin.interactive_mode == "Always":
            raise SettingsError("kubeconfig: exec: the plugin wants to ask a user (interactiveMode: Always)")
        found = shutil.which(plugin.command)
        if found is None:
            hint = " ".join(plugin.install_hint.split())
            raise SettingsError(f"kubeconfig: exec: no such command: {plugin.command}{f': {hint}' if hint else ''}")
        self._plugin = plugin
        self._command = [found, *(plugin.args or ())]
        self._environment = _environment(plugin, cluster, os.environ)

    async def obtain(self) -> Obtained:
        """Run the command and read what it prints. Raises CredentialError."""
        try:
            child = await asyncio.create_subprocess_exec(
                *self._command,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError as error:
            raise self._error(f"does not start: {error.strerror}") from None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                printed, _ = await child.communicate()
        except TimeoutError:
            raise self._error("did not finish in time") from None
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if child.returncode:
            raise self._error(f"ended with exit code {child.returncode}; run it yourself to see what it says")
        return self._read(printed)

    def _read(self, printed: bytes) -> Obtained:
        try:
            credential = msgspec.json.decode(printed[:MAX_BYTES], type=ExecCredential)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise self._error("printed something else than an ExecCredential with a status") from None
        status = credential.status
        if (credential.kind, credential.api_version) != ("ExecCredential", self._plugin.api_version):
            raise self._error("printed another kind or apiVersion than the kubeconfig says")
        if bool(status.client_certificate_data) != bool(status.client_key_data):
            raise self._error("printed a client certificate without its key, or a key without its certificate")
        if not (status.token or status.client_key_data):
            raise self._error("printed neither a token nor a client certificate")
        pair = (status.client_certificate_data.encode(), status.client_key_data.encode())
        try:
            authorization = bearer(status.token.encode(), "exec") if status.token else b""
        except SettingsError:
            raise self._error("printed a token that no header line can carry") from None
        expires = status.expiration_timestamp
        if expires is not None and expires.tzinfo is None:
            expires = expires.replace(tzinfo=UTC)
        return Obtained(authorization, pair if status.client_key_data else None, expires)

    def _error(self, problem: str) -> CredentialError:
        return CredentialError(f"the kubeconfig's exec plugin {problem}")


def _environment(plugin: Exec, cluster: Cluster, ours: Mapping[str, str]) -> dict[str, str]:
    spec: dict[str, object] = {"interactive": False}
    if plugin.provide_cluster_info:
        spec["cluster"] = _cluster_info(cluster)
    info = {"kind": "ExecCredential", "apiVersion": plugin.api_version, "spec": spec}
    theirs = {variable.name: variable.value for variable in plugin.env or ()}
    return {**ours, **theirs, "KUBERNETES_EXEC_INFO": json.dumps(info)}


def _cluster_info(cluster: Cluster) -> dict[str, object]:
    info: dict[str, object] = {
        "server": cluster.server,
        "tls-server-name": cluster.tls_server_name,
        "insecure-skip-tls-verify": cluster.insecure_skip_tls_verify,
        "certificate-authority-data": cluster.certificate_authority_data,
    }
    for extension in cluster.extensions or ():
        if extension.name == CLUSTER_EXTENSION:
            info["config"] = extension.extension
    return {key: value for key, value in info.items() if value}
