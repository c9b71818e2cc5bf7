"""One request on its way to the upstream: planned, admitted, asked, in pages or at once."""

from time import monotonic
from typing import cast

from proxy.admission import Lease
from proxy.core import headers, listoptions, planning
from proxy.core.errors import (
    BadRequestError,
    PagesDisagreeError,
    TokenLoopError,
    TokenRefusedError,
    TooManyRequestsError,
    UnstitchableError,
)
from proxy.core.headers import first, values
from proxy.core.negotiation import negotiate, without_binary
from proxy.core.planning import (
    BY_MODE,
    Facts,
    ListMode,
    ListRequest,
    Paged,
    Plan,
    Planner,
    Raw,
    Streamed,
)
from proxy.downstream.answer import Request
from proxy.pages.fetcher import Errand
from proxy.pages.sequence import Pages
from proxy.progress import Progress
from proxy.reply import Reply
from proxy.sender import Sender
from proxy.services import Services


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
        self._progress.note_plan(plan)
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
            self._progress.note_plan(plan)
        await self._ask(plan)

    async def _admit(self, question: ListRequest, plan: Plan) -> Lease:
        """Wait for the memory that a List needs. Raises TooManyRequestsErrors."""
        services, key = self._services, question.key
        return await services.admission.admit(self._request.client, key, plan, services.weights.item_bytes(key))

    def _give_up(self) -> None:
        """End a response that nobody reads, because the memory is needed."""
        self._request.answer.give_up(TooManyRequestsError("too much is held for clients that do not read"))

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
            await self._reply.give(response, plan)
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
            await self._reply.give(await pages.open(), plan, pages)
        except (UnstitchableError, PagesDisagreeError, TokenLoopError, TokenRefusedError) as error:
            if answer.started or not isinstance(error, UnstitchableError):
                services.weights.distrust(self._list.key, monotonic())
            if answer.started:
                raise
            return False
        finally:
            pages.close()
        return True

    @property
    def _reply(self) -> Reply:
        return Reply(self._services, self._request, self._progress, self._lease, self._question)

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
