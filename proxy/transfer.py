"""One request on its way to the upstream, and the answer on its way back: plan, ask, judge, relay."""

from dataclasses import dataclass
from time import monotonic
from typing import assert_never, cast

from proxy.admission import Admission, Lease
from proxy.core import headers, listoptions, planning, upgrades
from proxy.core.boundaries import boundaries_of
from proxy.core.errors import (
    BadRequestError,
    PagesDisagreeError,
    TokenLoopError,
    TokenRefusedError,
    TooManyRequestsError,
    UnstitchableError,
    UpstreamProtocolError,
)
from proxy.core.headers import Lines, first, values
from proxy.core.negotiation import negotiate, without_binary
from proxy.core.planning import (
    BY_MODE,
    Buffered,
    Facts,
    ListMode,
    ListRequest,
    Paged,
    Plan,
    Planner,
    Raw,
    Streamed,
)
from proxy.core.splitter import Splitter
from proxy.core.weights import Weights
from proxy.discovery import Discovery
from proxy.downstream.answer import Request
from proxy.http1 import Source
from proxy.identity import Identity
from proxy.metrics import Metrics
from proxy.pages.fetcher import Errand
from proxy.pages.sequence import Pages
from proxy.progress import Progress
from proxy.relay import Relay
from proxy.sender import Sender
from proxy.settings import Settings
from proxy.tunnel import Tunnel
from proxy.upstream.connection import Response
from proxy.upstream.pool import Upstream
from proxy.watch import Watch


@dataclass(frozen=True, slots=True)
class Services:
    """What all requests share."""

    settings: Settings
    identity: Identity
    upstream: Upstream
    discovery: Discovery
    weights: Weights
    admission: Admission
    metrics: Metrics


class Transfer:
    """One request. `target` is its origin-form; errors are raised for the handler to tell of."""

    def __init__(self, services: Services, request: Request, target: bytes, progress: Progress) -> None:
        self._services = services
        self._settings = services.settings
        self._request = request
        self._target = target
        self._progress = progress
        self._question = _question(request, target, progress) if progress.info.verb == "list" else None
        self._sender = Sender(services.identity, services.upstream, request, progress.info)
        self._lease = services.admission.pass_by()

    async def run(self) -> None:
        """Carry the request there and the answer back. Raises RestreamErrors."""
        plan = await self._plan()
        self._note(plan)
        if self._question is not None and self._request.method != "HEAD":
            self._lease = await self._admit(self._question, plan)
        self._lease.on_refusal = self._give_up
        try:
            await self._carry(plan)
        finally:
            self._lease.end()

    async def _carry(self, plan: Plan) -> None:
        if self._request.expects_continue:
            self._request.answer.send_continue()
        if isinstance(plan, Paged):
            if await self._ask_for_pages(plan):
                return
            plan = planning.UNSTITCHABLE
            self._note(plan)
        await self._ask(plan)

    async def _admit(self, question: ListRequest, plan: Plan) -> Lease:
        """Wait for the memory that a List needs. Raises TooManyRequestsErrors."""
        services, key = self._services, question.key
        return await services.admission.admit(self._request.client, key, plan, services.weights.item_bytes(key))

    def _give_up(self) -> None:
        """End a response that nobody reads, because the memory is needed."""
        self._request.answer.give_up(TooManyRequestsError("too much is held for clients that do not read"))

    # --- the way there ----------------------------------------------------------------------------------------------

    async def _plan(self) -> Plan:
        request = self._request
        if request.wants_upgrade:
            return Raw("upgrade")
        if self._question is None:
            return planning.NOT_A_LIST
        if request.method == "HEAD":
            return Raw("head")
        mode, pinned_by = self._settings.mode_of(*self._question.key)
        wanted = first(request.lines, headers.MODE_HEADER)
        if wanted and self._settings.allow_mode_header:
            if wanted != "auto" and wanted not in BY_MODE:
                raise BadRequestError(f"X-Restream-Mode: expected auto, {', '.join(BY_MODE)}")
            mode, pinned_by = cast("ListMode", wanted), "header"
        facts = await self._services.discovery.facts() if mode == "auto" else Facts()
        plan = Planner(facts, self._services.weights, monotonic()).plan(self._question, mode, pinned_by)
        if isinstance(plan, Paged) and request.body is not None:
            return planning.UNSTITCHABLE  # a body can be read only once
        return plan

    async def _ask(self, plan: Plan) -> None:
        """Answer with one response of the upstream."""
        upstream, target = self._services.upstream, self._target
        if isinstance(plan, Streamed) and plan.limit:
            target = _with_query(target, listoptions.with_limit(_query(target), plan.limit))
        response = await self._sender.send(target, plan)
        try:
            await self._answer(response, plan)
        finally:
            upstream.release(response)

    async def _ask_for_pages(self, plan: Paged) -> bool:
        """Answer with one List made of many responses; False where that is no way, and nothing has been sent.

        What tells that the upstream does not page as an apiserver does is remembered for all its clients. What one
        client's request may have brought about (a page 1 that is no List in plain JSON) is not.
        """
        services, target, progress = self._services, self._target, self._progress
        prefers_binary = self._list.media.prefers_binary
        accept = without_binary(values(self._request.lines, b"accept")).encode("latin-1") if prefers_binary else None
        errand = Errand(
            self._list,
            plan,
            _query(target),
            ask=lambda query: self._sender.send(_with_query(target, query), plan, accept),
            release=services.upstream.release,
            may_retry=lambda: services.upstream.may_retry("page"),
        )
        answer = self._request.answer
        pages = Pages(errand, self._settings, services.weights, self._lease, services.metrics, progress)
        progress.held = lambda: pages.held + answer.held
        try:
            await self._answer(await pages.open(), plan, pages)
        except (UnstitchableError, PagesDisagreeError, TokenLoopError, TokenRefusedError) as error:
            if answer.started or not isinstance(error, UnstitchableError):
                services.weights.distrust(self._list.key, monotonic())
            if answer.started:
                raise
            return False
        finally:
            pages.close()
        return True

    # --- the way back -----------------------------------------------------------------------------------------------

    async def _answer(self, response: Response, plan: Plan, pages: Pages | None = None) -> None:
        progress = self._progress
        progress.note_upstream_first_byte()
        progress.code = response.status
        progress.audit_id = first(response.lines, b"audit-id")
        plan = planning.judge_response(plan, response.status, response.lines)
        self._note(plan)
        if 200 <= response.status < 300 or response.status == 101:
            self._services.metrics.learn(progress)
        if response.status == 101:
            await self._switch(response)
            return
        source = self._source_of(response)
        relay = Relay(source, self._request.answer, self._lease, progress, self._services.metrics)
        match plan:
            case Raw():
                self._start(response, response.length)
                await relay.raw()
            case Streamed():
                await self._answer_streamed(response, relay)
            case Paged():
                await self._answer_paged(relay, cast("Pages", pages))
            case Buffered():
                await self._answer_buffered(response, relay)
            case _:
                assert_never(plan)
        self._request.answer.end()

    def _source_of(self, response: Response) -> Source:
        """Return the body with our patience for it; a watch can be ended when the proxy goes down."""
        info = self._progress.info
        is_open = info.verb == "watch" and response.status == 200 and response.length is None
        if is_open and (boundaries := boundaries_of(response.lines)) is not None:
            watch = Watch(response.body, boundaries)
            self._request.answer.ends_with(watch.end)
            return watch
        return Source(response.body, None if info.is_long_running else self._settings.limits.between_bytes_seconds)

    async def _switch(self, response: Response) -> None:
        """Answer that protocols are switched, and carry what is said in the new one."""
        request, progress, metrics = self._request, self._progress, self._services.metrics
        if not upgrades.is_granted(request.lines, response.lines):
            raise UpstreamProtocolError("the upstream switches to a protocol that the client has not asked for")
        lines = self._lines_of(response)
        await request.answer.switch(response.reason, headers.without_length(lines))
        await response.connection.drain()
        # Both at once, as what comes behind a handover is the tunnel's alone; and with room on both sides, as nobody
        # would tell it of a lack of room that is older.
        client, upstream = request.answer.hand_over(), response.connection.hand_over()
        tunnel = Tunnel(client, upstream, self._settings.limits.idle_seconds, progress.note_held)
        progress.held = lambda: tunnel.held
        try:
            await tunnel.run()
        finally:
            request.answer.sent = progress.bytes_sent = tunnel.upstream.received
            progress.bytes_received, progress.first_byte = tunnel.client.received, tunnel.upstream.first_byte
            metrics.note_stall(progress, tunnel.client.stalled_seconds)
        request.answer.end()

    async def _answer_streamed(self, response: Response, relay: Relay) -> None:
        splitter = Splitter(self._settings.max_item_bytes)
        events = await relay.look(splitter)
        self._judge_body(splitter, response)
        self._start(response, response.length)
        try:
            await relay.streamed(splitter, events)
        finally:
            self._learn(splitter)

    async def _answer_paged(self, relay: Relay, pages: Pages) -> None:
        self._services.metrics.begin_list(self._progress)
        async with pages.reading_ahead():
            events = await pages.take()
            self._start(pages.head, pages.length)
            await relay.paged(pages, events)
        self._learn_size()

    async def _answer_buffered(self, response: Response, relay: Relay) -> None:
        splitter = Splitter(self._settings.max_item_bytes)
        if response.length is not None:
            # A window that grows takes up to an eighth ahead.
            await self._lease.read_on(response.length * 9 // 8, response.length)
        events = await relay.look(splitter)
        self._judge_body(splitter, response)
        whole = await relay.buffered(splitter, events)
        self._learn(splitter)
        self._start(response, sum(map(len, whole)))
        await relay.write_whole(whole)

    def _judge_body(self, splitter: Splitter, response: Response) -> None:
        """Call a body that has ended without an array of items what it is."""
        if splitter.is_list or not response.body.ended:
            self._services.metrics.begin_list(self._progress)
            self._services.metrics.note_page(self._progress)
        else:
            self._note(planning.BODY_NOT_A_LIST)

    def _learn(self, splitter: Splitter) -> None:
        """Learn from a List that came in one response what paging will want to know."""
        question, progress, weights = self._list, self._progress, self._services.weights
        weights.learn_items(question.key, question.media.form, progress.items, progress.item_bytes)
        if not splitter.is_complete or question.media.form != "object":
            return
        self._learn_size()
        if question.key[0] not in planning.BUILT_IN and splitter.items_key == "items":
            weights.learn_foreign(question.key, is_foreign=splitter.is_typed)

    def _learn_size(self) -> None:
        """Learn what all objects of a resource weigh, from a List that was not cut short; their rows weigh less."""
        if self._list.is_everything and self._list.media.form == "object":
            self._services.weights.learn_list(self._list.key, self._progress.item_bytes)

    def _start(self, response: Response, length: int | None) -> None:
        """Send the head. `length` is the body's, where it is known; the upstream's own line says it if it has one."""
        lines = self._lines_of(response)
        if length is None:
            lines = headers.without_length(lines)
        elif response.length is None:
            lines.append((b"Content-Length", b"%d" % length))
        self._request.answer.start(response.status, response.reason, lines, length)

    def _lines_of(self, response: Response) -> Lines:
        mode = self._progress.mode_line
        return headers.to_client(response.lines, mode=mode, is_handshake=self._request.is_handshake)

    def _note(self, plan: Plan) -> None:
        self._progress.mode, self._progress.reason = plan.mode, plan.reason

    @property
    def _list(self) -> ListRequest:
        """Return the List that was asked for; only Lists are planned as anything but raw."""
        return cast("ListRequest", self._question)


def _question(request: Request, target: bytes, progress: Progress) -> ListRequest:
    query = _query(target)
    media = negotiate(values(request.lines, b"accept"), query, first(request.lines, b"user-agent"))
    return ListRequest(progress.info, listoptions.ListOptions.parse(query), media)


def _query(target: bytes) -> str:
    return target.partition(b"?")[2].decode("latin-1")


def _with_query(target: bytes, query: str) -> bytes:
    return target.partition(b"?")[0] + b"?" + query.encode("latin-1")
