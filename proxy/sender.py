"""A client's request as the upstream gets it: whose it is, what it may say of itself, and how it came to us."""

from proxy.core import forwarding, headers, users
from proxy.core.errors import UnauthorizedError
from proxy.core.headers import Lines, first
from proxy.core.planning import Plan, Raw
from proxy.core.request import RequestInfo
from proxy.downstream.answer import Request
from proxy.identity import Identity
from proxy.upstream.connection import Response
from proxy.upstream.place import Place
from proxy.upstream.place import Request as UpstreamRequest
from proxy.upstream.pool import Upstream


class Sender:
    """Sends one client's request to the upstream, as often as a List has pages."""

    def __init__(self, identity: Identity, upstream: Upstream, request: Request, info: RequestInfo) -> None:
        self._identity = identity
        self._upstream = upstream
        self._request = request
        self._is_long_running = info.is_long_running and not request.is_handshake
        self._lines: Lines = []
        self._lines_are_for: object = None
        self._home: Place | None = None  # where the last answer came from: pages of one List are asked for there

    async def send(self, target: bytes, plan: Plan, accept: bytes | None = None) -> Response:
        """Ask for `target`, as the client or as the proxy; `accept` takes the place of the client's own Accept.

        Each time it is asked with the credential of the time. Raises UpstreamErrors, and UnauthorizedError for a client
        that a front proxy cannot name.
        """
        credential = self._identity.credential
        authorization = await credential.authorize() if credential is not None else None
        response = await self._upstream.send(self._outgoing(target, plan, accept, authorization))
        self._home = self._upstream.place_of(response)
        if credential is not None and authorization is not None and response.status == 401:
            credential.refuse(authorization)
        return response

    def _outgoing(
        self, target: bytes, plan: Plan, accept: bytes | None, own_credential: bytes | None
    ) -> UpstreamRequest:
        request = self._request
        wanted = not isinstance(plan, Raw), accept, own_credential
        if wanted != self._lines_are_for:  # pages differ in their targets alone, but for a credential that is renewed
            self._lines, self._lines_are_for = self._render(*wanted), wanted
        return UpstreamRequest(
            request.method,
            target,
            self._lines,
            request.body,
            request.is_chunked,
            is_long_running=self._is_long_running,
            is_handshake=request.is_handshake,
            home=self._home,
        )

    def _render(self, plans_list: bool, accept: bytes | None, own_credential: bytes | None) -> Lines:
        request = self._request
        lines = headers.to_upstream(
            request.lines,
            plans_list=plans_list,
            own_credential=own_credential,
            accept=accept,
            remote_user=self._remote_user(),
            is_handshake=request.is_handshake,
        )
        lines = forwarding.forward(
            lines,
            request.peer.hop,
            host=first(request.lines, b"host").encode("latin-1"),
            version=b"1.0" if request.is_http10 else b"1.1",
        )
        if request.is_chunked:
            lines.append((b"Transfer-Encoding", b"chunked"))
        return lines

    def _remote_user(self) -> Lines | None:
        """Return what a front proxy says of its client. Raises UnauthorizedError where there is nothing to say."""
        if not self._identity.is_front_proxy:
            return None
        user = self._request.peer.user
        if user is None:  # without a user the upstream might take us for who our own certificate says
            raise UnauthorizedError("a client certificate with a name is required")
        return users.remote_lines(user)
