"""The auth-provider `oidc` of a kubeconfig: an ID token, and a refresh token to get the next one with.

Nothing is written back into the kubeconfig, so where an issuer exchanges refresh tokens an exec plugin does better.
"""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from urllib.error import HTTPError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import Request, urlopen

import msgspec

from proxy.core.errors import CredentialError
from proxy.credentials import Obtained, bearer
from proxy.kubeconfig import decode
from proxy.settings import SettingsError
from proxy.tls import ClientMaterial, client_context

PATIENCE_SECONDS = 10.0
MAX_BYTES = 1 << 20
EARLY = timedelta(seconds=10)
"""So long before its end an ID token is taken to be over, as in client-go: it has a way to go."""

KEY = "kubeconfig: auth-provider"

T = TypeVar("T")


class Claims(msgspec.Struct, frozen=True):
    """What of an ID token matters here; the upstream verifies it."""

    exp: float


class Discovered(msgspec.Struct, frozen=True):
    """OpenID Connect Discovery 1.0, section 3."""

    token_endpoint: str


class Refreshed(msgspec.Struct, frozen=True):
    """OpenID Connect Core 1.0, section 12.2."""

    id_token: str
    refresh_token: str | None = None


class OIDC:
    """An issuer and what it has given us. Raises SettingsError for a config without what is needed."""

    def __init__(self, config: dict[str, str]) -> None:
        self._issuer = config.get("idp-issuer-url", "").rstrip("/")
        self._client_id = config.get("client-id", "")
        self._secret = config.get("client-secret", "")
        self._id_token = config.get("id-token", "")
        self._refresh_token = config.get("refresh-token", "")
        if urlsplit(self._issuer).scheme != "https" or not self._client_id:
            raise SettingsError(f"{KEY}: needs an idp-issuer-url with https and a client-id")
        if not (self._id_token or self._refresh_token):
            raise SettingsError(f"{KEY}: has neither an id-token nor a refresh-token; log in with kubectl first")
        data, file = config.get("idp-certificate-authority-data"), config.get("idp-certificate-authority")
        ca = decode(data, "idp-certificate-authority-data") if data else file
        self._tls = client_context(ClientMaterial(KEY, ca or None))

    async def obtain(self) -> Obtained:
        """Return the ID token, or the next one if it is over. Raises CredentialError."""
        obtained = _read(self._id_token) if self._id_token else None
        self._id_token = ""  # the upstream may refuse it before its time is over
        if obtained is not None and not obtained.is_over:
            return obtained
        if not self._refresh_token:
            raise CredentialError("the kubeconfig's ID token is over, and there is no refresh token")
        return await asyncio.to_thread(self._refresh)

    def _refresh(self) -> Obtained:
        """Ask the issuer, in a thread."""
        request = Request(f"{self._issuer}/.well-known/openid-configuration")  # noqa: S310 (the scheme was looked at)
        endpoint = self._ask(request, Discovered).token_endpoint
        if urlsplit(endpoint).scheme != "https":
            raise CredentialError("the OIDC issuer's token endpoint is not https")
        form = {"grant_type": "refresh_token", "refresh_token": self._refresh_token, "client_id": self._client_id}
        request = Request(endpoint, urlencode(form).encode())  # noqa: S310 (as above)
        if self._secret:
            pair = f"{quote(self._client_id, safe='')}:{quote(self._secret, safe='')}"  # RFC 6749, section 2.3.1
            request.add_unredirected_header("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
        refreshed = self._ask(request, Refreshed)
        self._refresh_token = refreshed.refresh_token or self._refresh_token
        return _read(refreshed.id_token)

    def _ask(self, request: Request, kind: type[T]) -> T:
        try:
            with urlopen(request, timeout=PATIENCE_SECONDS, context=self._tls) as answer:  # noqa: S310
                return msgspec.json.decode(answer.read(MAX_BYTES), type=kind)
        except HTTPError as error:
            with error:
                raise CredentialError(f"the OIDC issuer answered {error.code}") from None
        except OSError as error:
            raise CredentialError(f"the OIDC issuer cannot be asked: {type(error).__name__}") from None
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise CredentialError("the OIDC issuer answered something else than was asked for") from None


def _read(token: str) -> Obtained:
    try:
        claims = token.split(".")[1]
        raw = base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))
        expires = datetime.fromtimestamp(msgspec.json.decode(raw, type=Claims).exp, UTC) - EARLY
        return Obtained(bearer(token.encode(), KEY), None, expires)
    except (IndexError, ValueError, OverflowError, OSError, msgspec.MsgspecError, SettingsError):
        raise CredentialError("what the kubeconfig or its OIDC issuer gave is no ID token with an end") from None
