"""One request's story, and the one place where an error becomes a status or an abort.

Before the first byte to the client an error is a Kubernetes Status; after it the connection is aborted, so that
nothing that can be mistaken for a complete List ever ends cleanly.
"""

import asyncio
import re
from time import monotonic
from typing import assert_never, cast
from urllib.parse import urlsplit

from proxy.accesslog import AccessLog
from proxy.core import headers, planning, status
from proxy.core.errors import BadRequestError, ClientGoneError, ForbiddenError, RestreamError
from proxy.core.headers import Lines, first, values
from proxy.core.planning import BY_MODE, Buffered, ListMode, Plan, Raw, Streamed
from proxy.core.request import classify
from proxy.core.splitter import Splitter
from proxy.downstream.answer import Request
from proxy.identity import Identity
from proxy.metrics import Metrics
from proxy.progress import Progress
from proxy.relay import Relay, Source
from proxy.settings import Settings, is_loopback
from proxy.upstream.connection import Response
from proxy.upstream.pool import Request as UpstreamRequest
from proxy.upstream.pool import Upstream

AUTHORITY = re.compile(rb"^[^:/?]+://[^/?]*")


class Handler:
    """Carries requests from a listener to the upstream and their answers back."""

    def __init__(
        self, settings: Settings, identity: Identity, upstream: Upstream, metrics: Metrics, access_log: AccessLog
    ) -> None:
        self._settings = settings
        self._credential = identity.credential
        self._host = identity.address.authority
        self._upstream = upstream
        self._metrics = metrics
        self._access_log = access_log

    async def __call__(self, request: Request) -> None:
        """Handle one request to its end; nothing but cancellation is raised."""
        target = _origin_form(request.target)
        method = request.method
        progress = Progress(classify(method, target.decode("latin-1")), monotonic())
        self._metrics.begin(progress)
        try:
            await self._carry(request, target, progress)
        except asyncio.CancelledError:
            # The listener cancels a request whose client has gone, and those that outlive the drain.
            reason = "shutdown" if request.answer.is_dropped else ClientGoneError.reason
            self._abort(request, progress, reason, ClientGoneError.status_hint)
            raise
        except RestreamError as error:
            self._fail(request, progress, error)
        finally:
            now = monotonic()
            self._metrics.end(progress, now)
            agent = first(request.lines, b"user-agent")
            self._access_log.write(progress, method=method, target=target.decode("latin-1"), user_agent=agent, now=now)

    # --- the way there ----------------------------------------------------------------------------------------------

    async def _carry(self, request: Request, target: bytes, progress: Progress) -> None:
        plan = self._plan(request, progress)
        self._note(progress, plan)
        if self._credential is not None:
            _check_host(request)
        if request.expects_continue:
            request.answer.send_continue()
        response = await self._upstream.send(self._outgoing(request, target, plan, progress))
        try:
            await self._answer(request, response, plan, progress)
        finally:
            self._upstream.release(response)

    def _plan(self, request: Request, progress: Progress) -> Plan:
        if request.wants_upgrade:
            return Raw("upgrade")
        info = progress.info
        if info.verb != "list":
            return planning.NOT_A_LIST
        mode, pinned_by = self._settings.mode, "settings"
        wanted = first(request.lines, headers.MODE_HEADER)
        if wanted and self._settings.allow_mode_header:
            if wanted != "auto" and wanted not in BY_MODE:
                raise BadRequestError(f"X-Restream-Mode: expected auto, {', '.join(BY_MODE)}")
            mode, pinned_by = cast("ListMode", wanted), "header"
        accept = values(request.lines, b"accept")
        return planning.plan_request(info, request.method, accept, mode=mode, pinned_by=pinned_by)

    def _outgoing(self, request: Request, target: bytes, plan: Plan, progress: Progress) -> UpstreamRequest:
        lines = headers.to_upstream(
            request.lines,
            host=self._host,
            plans_list=not isinstance(plan, Raw),
            own_credential=self._credential.authorization if self._credential is not None else None,
        )
        if request.is_chunked:
            lines.append((b"Transfer-Encoding", b"chunked"))
        long_running = progress.info.is_long_running or request.wants_upgrade
        return UpstreamRequest(request.method, target, lines, request.body, request.is_chunked, long_running)

    # --- the way back -----------------------------------------------------------------------------------------------

    async def _answer(self, request: Request, response: Response, plan: Plan, progress: Progress) -> None:
        progress.upstream_first_byte = monotonic()
        progress.code = response.status
        progress.audit_id = first(response.lines, b"audit-id")
        plan = planning.judge_response(
            plan, response.status, first(response.lines, b"content-type"), first(response.lines, b"content-encoding")
        )
        self._note(progress, plan)
        if 200 <= response.status < 300:
            self._metrics.learn(progress)
        long_running = progress.info.is_long_running
        source = Source(response.body, None if long_running else self._settings.limits.between_bytes_seconds)
        relay = Relay(source, request.answer, progress, self._metrics)
        match plan:
            case Raw():
                self._start(request, response, progress, response.length)
                await relay.raw()
            case Streamed():
                await self._answer_streamed(request, response, progress, relay)
            case Buffered():
                await self._answer_buffered(request, response, progress, relay)
            case _:
                assert_never(plan)
        request.answer.end()

    async def _answer_streamed(self, request: Request, response: Response, progress: Progress, relay: Relay) -> None:
        splitter = Splitter(self._settings.max_item_bytes)
        events = await relay.look(splitter)
        self._judge_body(progress, splitter, response)
        self._start(request, response, progress, response.length)
        await relay.streamed(splitter, events)

    async def _answer_buffered(self, request: Request, response: Response, progress: Progress, relay: Relay) -> None:
        splitter = Splitter(self._settings.max_item_bytes)
        events = await relay.look(splitter)
        self._judge_body(progress, splitter, response)
        whole = await relay.buffered(splitter, events)
        self._start(request, response, progress, sum(map(len, whole)))
        await relay.write_whole(whole)

    def _judge_body(self, progress: Progress, splitter: Splitter, response: Response) -> None:
        """Call a body that has ended without an array of items what it is."""
        if splitter.is_list or not response.body.ended:
            self._metrics.begin_list(progress)
        else:
            self._note(progress, planning.BODY_NOT_A_LIST)

    def _start(self, request: Request, response: Response, progress: Progress, length: int | None) -> None:
        lines: Lines = headers.to_client(response.lines, mode=progress.mode_line)
        if length is not None and response.length is None:
            lines.append((b"Content-Length", b"%d" % length))
        request.answer.start(response.status, response.reason, lines, length)

    def _note(self, progress: Progress, plan: Plan) -> None:
        progress.mode, progress.reason = plan.mode, plan.reason

    # --- failures -----------------------------------------------------------------------------------------------------

    def _fail(self, request: Request, progress: Progress, error: RestreamError) -> None:
        if request.answer.started or isinstance(error, ClientGoneError):
            self._abort(request, progress, error.reason, error.status_hint)
            return
        code = progress.code = error.status_hint
        progress.reason = error.reason
        accept = headers.parse_accept(values(request.lines, b"accept"))
        content_type, body = status.render(code, f"kube-restream: {error}", accept)
        lines: Lines = [
            (b"Content-Type", content_type),
            (b"Content-Length", b"%d" % len(body)),
            (b"Cache-Control", b"no-cache, private"),
            (b"X-Restream-Mode", progress.mode_line),
        ]
        try:
            request.answer.start(code, status.phrase(code).encode(), lines, len(body))
            request.answer.write_now(body)
            progress.bytes_sent = request.answer.sent
            request.answer.end()
        except ClientGoneError as gone:
            self._abort(request, progress, gone.reason, code)

    def _abort(self, request: Request, progress: Progress, reason: str, code: int) -> None:
        progress.abort_reason = reason
        progress.bytes_sent = request.answer.sent
        if not request.answer.started:
            progress.code = code
        request.answer.abort()


def _origin_form(target: bytes) -> bytes:
    """Return path and query of a target in absolute-form (RFC 9112, section 3.2.2), others as they stand.

    The authority that a client names is ignored, as a gateway has one upstream.
    """
    if not AUTHORITY.match(target):
        return target
    rest = AUTHORITY.sub(b"", target)
    return rest if rest.startswith(b"/") else b"/" + rest


def _check_host(request: Request) -> None:
    """Refuse names that are not this machine's, as kubectl proxy does.

    With the proxy's own credential a web page could else reach the apiserver through a name that it has rebound to
    127.0.0.1 (DNS rebinding).
    """
    host = first(request.lines, b"host")
    try:
        name = "" if set("@/?#") & set(host) else urlsplit(f"//{host}").hostname or ""
    except ValueError:
        name = ""
    if not is_loopback(name):
        raise ForbiddenError("Host is not a loopback name")
