"""The upstream's response on its way back to the client: judged, begun, relayed, learnt from."""

from typing import assert_never, cast

from proxy.admission import Lease
from proxy.core import headers, planning, upgrades
from proxy.core.boundaries import boundaries_of
from proxy.core.errors import UpstreamProtocolError
from proxy.core.headers import Lines, first
from proxy.core.planning import Buffered, ListRequest, Paged, Plan, Raw, Streamed
from proxy.core.splitter import Splitter
from proxy.downstream.answer import Request
from proxy.http1 import Source
from proxy.pages.sequence import Pages
from proxy.progress import Progress
from proxy.relay import Relay
from proxy.services import Services
from proxy.tunnel import Tunnel
from proxy.upstream.connection import Response
from proxy.watch import Watch


class Reply:
    """The answer to one request; `question` is the List that was asked for, `lease` what may be held for it."""

    def __init__(
        self, services: Services, request: Request, progress: Progress, lease: Lease, question: ListRequest | None
    ) -> None:
        self._services = services
        self._request = request
        self._progress = progress
        self._lease = lease
        self._question = question

    async def give(self, response: Response, plan: Plan, pages: Pages | None = None) -> None:
        """Answer with a response as `plan` says, if its head allows; `pages` are those of a paged one.

        Raises RestreamErrors.
        """
        progress = self._progress
        progress.note_upstream_first_byte()
        progress.code = response.status
        progress.audit_id = first(response.lines, b"audit-id")
        plan = planning.judge_response(plan, response.status, response.lines)
        self._progress.note_plan(plan)
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
        return Source(
            response.body, None if info.is_long_running else self._services.settings.limits.between_bytes_seconds
        )

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
        tunnel = Tunnel(client, upstream, self._services.settings.limits.idle_seconds, progress.note_held)
        progress.held = lambda: tunnel.held
        try:
            await tunnel.run()
        finally:
            request.answer.sent = progress.bytes_sent = tunnel.upstream.received
            progress.bytes_received, progress.first_byte = tunnel.client.received, tunnel.upstream.first_byte
            metrics.note_stall(progress, tunnel.client.stalled_seconds)
        request.answer.end()

    async def _answer_streamed(self, response: Response, relay: Relay) -> None:
        splitter = Splitter(self._services.settings.max_item_bytes)
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
        splitter = Splitter(self._services.settings.max_item_bytes)
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
            self._progress.note_plan(planning.BODY_NOT_A_LIST)

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

    @property
    def _list(self) -> ListRequest:
        """Return the List that was asked for; only Lists are planned as anything but raw."""
        return cast("ListRequest", self._question)
