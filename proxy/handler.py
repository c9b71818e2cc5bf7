"""One request's story, and the one place where an error becomes a status or an abort.

Before the first byte to the client an error is a Kubernetes Status; after it the connection is aborted, so that
nothing that can be mistaken for a complete List ever ends cleanly.
"""

import asyncio
import re
import traceback
from time import monotonic

from proxy.accesslog import AccessLog
from proxy.core import headers, status
from proxy.core.errors import ClientGoneError, ForbiddenError, RestreamError, TooManyRequestsError
from proxy.core.filters import Filter
from proxy.core.headers import Lines, first, values
from proxy.core.request import classify
from proxy.downstream.answer import Request
from proxy.progress import Progress
from proxy.services import Services
from proxy.settings import Settings
from proxy.transfer import Transfer

RETRY_AFTER_SECONDS = 1
"""What an apiserver says with its 429s (k8s.io/apiserver/pkg/server/filters/maxinflight.go)."""

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

AUTHORITY = re.compile(rb"^[^:/?]+://[^/?]*")


class Handler:
    """Carries requests from a listener to the upstream and their answers back."""

    def __init__(self, services: Services, access_log: AccessLog) -> None:
        self._services = services
        self._metrics = services.metrics
        self._access_log = access_log
        self._filter = _filter_of(services.settings)

    async def __call__(self, request: Request) -> None:
        """Handle one request to its end; nothing but cancellation is raised."""
        target = _origin_form(request.target)
        method = request.method
        progress = Progress(classify(method, target.decode("latin-1")), monotonic())
        progress.held_up = request.held
        if request.body is not None:
            request.body.may_pause = progress.info.is_long_running
        self._metrics.begin(progress)
        try:
            if self._filter is not None:
                self._check(self._filter, request, target)
            await Transfer(self._services, request, target, progress).run()
        except asyncio.CancelledError as cancelled:
            # The listener cancels a request whose client has gone, and those that outlive the drain.
            reason = "shutdown" if request.answer.is_dropped else ClientGoneError.reason
            self._abort(request, progress, reason, ClientGoneError.status_hint)
            _let_go(cancelled)
            raise
        except RestreamError as error:
            self._fail(request, progress, error)
            _let_go(error)
        finally:
            now = monotonic()
            self._metrics.end(progress, now)
            agent = first(request.lines, b"user-agent")
            self._access_log.write(progress, method=method, target=target.decode("latin-1"), user_agent=agent, now=now)

    def _check(self, filter: Filter, request: Request, target: bytes) -> None:  # noqa: A002 (it is one)
        path = target.partition(b"?")[0].decode("latin-1")
        if problem := filter.refusal(request.method, path, first(request.lines, b"host")):
            raise ForbiddenError(problem)
        if self._services.identity.credential is not None:
            _check_origin(request)

    # --- failures -----------------------------------------------------------------------------------------------------

    def _fail(self, request: Request, progress: Progress, error: RestreamError) -> None:
        if request.answer.started or isinstance(error, ClientGoneError):
            self._abort(request, progress, error.reason, error.status_hint)
            return
        code = progress.code = error.status_hint
        progress.reason = error.reason
        accept = headers.parse_accept(values(request.lines, b"accept"))
        retry_after = RETRY_AFTER_SECONDS if isinstance(error, TooManyRequestsError) else None
        content_type, body = status.render(code, f"kube-restream: {error}", accept, retry_after)
        lines: Lines = [
            (b"Content-Type", content_type),
            (b"Content-Length", b"%d" % len(body)),
            (b"Cache-Control", b"no-cache, private"),
            (b"X-Restream-Mode", progress.mode_line),
        ]
        if retry_after:
            lines.append((b"Retry-After", b"%d" % retry_after))
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


def _let_go(error: BaseException) -> None:
    """Free what the frames of a failure still hold, now that their lease is over.

    Streams keep the error that ended them, the error its traceback, and that the frames that held the streams: a circle
    that the collector may find only seconds later, with buffers that no budget counts any more (`make soak`: up to
    30 MiB from four seconds, beside a budget of 32 MiB).
    """
    traceback.clear_frames(error.__traceback__)


def _origin_form(target: bytes) -> bytes:
    """Return path and query of a target in absolute-form (RFC 9112, section 3.2.2), others as they stand.

    The authority that a client names is ignored, as a gateway has one upstream.
    """
    if not AUTHORITY.match(target):
        return target
    rest = AUTHORITY.sub(b"", target)
    return rest if rest.startswith(b"/") else b"/" + rest


def _filter_of(settings: Settings) -> Filter | None:
    if not settings.filters_requests:
        return None
    filters = settings.filters
    return Filter.compile(filters.accept_hosts, filters.accept_paths, filters.reject_paths, filters.reject_methods)


def _check_origin(request: Request) -> None:
    """Refuse what a page of another origin has a browser send that could change something, or read what comes.

    Any page may open a WebSocket to anywhere: with the proxy's own credential an exec into any Pod (which is why
    kubectl proxy refuses exec and attach altogether). It may also POST anything without asking first, if only it names
    no media type, and an apiserver takes a body without one for JSON. It does not get to read the answer, as it does
    not get that of a GET, but the Pod has been made. Browsers always say which page it is.
    """
    if request.method in SAFE and not request.is_handshake:
        return
    origins = values(request.lines, b"origin")
    if any(_authority(origin) != first(request.lines, b"host").lower() for origin in origins):
        raise ForbiddenError("Origin is not the proxy")


def _authority(origin: str) -> str:
    return origin.lower().partition("://")[2]
