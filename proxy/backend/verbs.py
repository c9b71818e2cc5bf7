"""What is done with a resource: get, list, watch and the writes, each from request to answer."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace

from aiohttp import hdrs, web

from proxy.backend import (
    deletion,
    following,
    listoptions,
    manifest,
    negotiation,
    patching,
    scales,
    status,
    watch,
    writeoptions,
)
from proxy.backend.encoding import Printer
from proxy.backend.kinds import protobuf
from proxy.backend.listoptions import ListOptions
from proxy.backend.negotiation import Form
from proxy.backend.reply import JSON, Reply
from proxy.backend.requestpath import Target
from proxy.backend.resources import SCALES
from proxy.backend.scales import Scaler
from proxy.backend.status import ApiError, PlainError
from proxy.backend.store import Page, Store
from proxy.backend.writeoptions import WriteOptions
from proxy.backend.writes import Clock, Writer

# What a real apiserver takes as the body of a write.
BODY_LIMIT = 3 << 20
BODY_TYPES = (JSON, "application/yaml", protobuf.MEDIA_TYPE)
INCLUDE_OBJECT = ("", "None", "Metadata", "Object")
# What the timeout filter writes where nothing has been sent yet: no kind, and not negotiated.
TIMEOUT_BODY = (
    '{"metadata":{},"status":"Failure","message":"Timeout: request did not complete within the allotted timeout",'
    '"reason":"Timeout","details":{},"code":504}\n'
)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the simulated apiserver behaves."""

    streaming: bool = True
    token: str = ""
    list_deadline: float = 60.0
    bookmark_interval: float = 60.0
    log_interval: float = 1.0


@dataclass(frozen=True, slots=True)
class Verbs:
    """One request for a resource."""

    store: Store
    behaviour: Behaviour
    reply: Reply
    target: Target

    async def serve(self) -> web.StreamResponse:
        """Pick the verb."""
        method = self.reply.request.method
        if method == "HEAD" and not self.target.resource.custom:
            raise status.method_not_allowed()
        if method not in {"GET", "HEAD"}:
            return await self.write(method)
        if self.target.name and not self.target.watch:
            return await self.get()
        options = self.list_options(watch=True if self.target.watch else None)
        return await (self.watch(options) if options.watch else self.list(options))

    def printer(self, *, tables: bool = True) -> Printer:
        """Negotiate how objects are printed."""
        accepted = negotiation.negotiate(self.reply.accept, custom=self.target.resource.custom, tables=tables)
        include = self.reply.query.get("includeObject", "") if accepted.form is Form.TABLE else ""
        if include not in INCLUDE_OBJECT:
            raise status.bad_request(f"unrecognized includeObject value: {include}")
        return Printer(self.target.resource, accepted, include, time.time())

    def list_options(self, *, watch: bool | None) -> ListOptions:
        """Return what the query of a List or watch asks for."""
        return listoptions.parse(self.reply.query, watch=watch, selectable=self.target.resource.selectable)

    def page(self, options: ListOptions) -> Page:
        """Return what a List selects."""
        return self.store.list(self.target.resource, self.target.namespace or None, options, time.monotonic())

    async def list(self, options: ListOptions) -> web.StreamResponse:
        """Answer a List, which is cut off where writing it takes longer than the deadline."""
        deadline = self.deadline()
        printer = self.printer()
        printer.accepted.check(listed=True, go_type=self.target.resource.list_kind)
        pieces = printer.pages(self.page(options))
        response = self.reply.response(200)
        try:
            async with asyncio.timeout(deadline):
                return await self.reply.pieces(response, printer.accepted, pieces, streaming=self.behaviour.streaming)
        except TimeoutError:
            if not response.prepared:
                raise PlainError(504, TIMEOUT_BODY) from None
            if self.reply.request.transport is not None:
                self.reply.request.transport.abort()
            return response

    def deadline(self) -> float:
        """Return the seconds that a List may take: the client may shorten them, never lengthen."""
        text = self.reply.query.get("timeout")
        own = self.behaviour.list_deadline
        return min(own, listoptions.duration(text) or own) if text else own

    async def get(self) -> web.StreamResponse:
        """Answer a get."""
        target = self.target
        printer = self.printer()
        printer.accepted.check(listed=False, go_type=target.resource.kind)
        if target.subresource == "eviction":
            raise status.method_not_allowed()
        self.check_subresource()
        found = self.store.collections[target.resource].get(target.key)
        if found is None:
            raise status.not_found(target.resource.plural, target.resource.group, target.name)
        item = found.item()
        if target.subresource == "scale":
            printer, item = replace(printer, resource=SCALES), scales.scale(manifest.stored(item))
        body = printer.answer(item, found.version) + b"\n"
        return await self.reply.document(body, accepted=printer.accepted)

    async def watch(self, options: ListOptions) -> web.StreamResponse:
        """Answer a watch."""
        options = watch.with_defaults(options)
        if self.target.name:
            options = replace(options, selection=replace(options.selection, name=self.target.name))
        streaming = self.behaviour.streaming
        # WatchLists as Tables came with 1.34.
        printer = self.printer(tables=streaming or not options.is_watch_list)
        watcher = watch.Watcher(self.store, printer, self.target.namespace, options, streaming=streaming)
        pace = following.Pace.of(options.timeout_seconds, self.behaviour.bookmark_interval)
        return await following.follow(self.reply.request, self.reply.response(200), watcher, pace)

    async def write(self, method: str) -> web.StreamResponse:
        """Answer a create, update, patch or delete."""
        self.check_subresource()
        printer = self.printer()
        body = await self.body()
        if method == "DELETE":
            return await self.delete(printer, body)
        if self.target.subresource == "eviction":
            return await self.evict(method, body)
        writer = self.writer(method)
        try:
            code, item = self.change(method, writer, body)
        except RecursionError:
            raise status.bad_request("the object is nested too deeply") from None
        printer = replace(printer, resource=SCALES) if self.target.subresource == "scale" else printer
        document = printer.answer(item, self.store.version) + b"\n"
        return await self.reply.document(document, code=code, accepted=printer.accepted, warnings=writer.warnings)

    def check_subresource(self) -> None:
        """Refuse a subresource that there isn't."""
        if self.target.subresource and self.target.subresource not in self.target.resource.subresources:
            raise status.unknown_resource()

    async def evict(self, method: str, body: bytes) -> web.StreamResponse:
        """Delete a pod as kubectl drain does; there is no budget that could forbid it."""
        if method != "POST":
            raise status.method_not_allowed()
        options = deletion.parse_eviction(body, self.media_type(), self.reply.query)
        deletion.Deleter(self.plain_writer(), options).delete()
        return await self.reply.document(status.SUCCESS + b"\n", code=201)

    def plain_writer(self) -> Writer:
        """Return a writer without options, for what has others."""
        return Writer(self.store, self.target, Clock(time.monotonic(), time.time()), WriteOptions())

    def writer(self, method: str) -> Writer:
        """Return what carries out a write."""
        request = self.reply.request
        kind = {"POST": "CreateOptions", "PUT": "UpdateOptions"}.get(method, "PatchOptions")
        applies = method == "PATCH" and request.content_type == patching.APPLY_PATCH
        agent = request.headers.get(hdrs.USER_AGENT, "")
        options = writeoptions.parse(self.reply.query, agent, kind=kind, applies=applies)
        return Writer(self.store, self.target, Clock(time.monotonic(), time.time()), options)

    def change(self, method: str, writer: Writer, body: bytes) -> tuple[int, bytes]:
        """Create or change an object, and return the answer's code and the object."""
        placed = bool(self.target.namespace) or not self.target.resource.namespaced
        scaler = Scaler(writer) if self.target.subresource == "scale" else None
        match method, bool(self.target.name):
            case "POST", False if placed:
                return 201, writer.create(manifest.parse(self.target.resource, body, self.media_type()))
            case "PUT", True if scaler:
                return 200, scaler.update(body, self.media_type())
            case "PUT", True:
                return 200, writer.update(manifest.parse(self.target.resource, body, self.media_type()))
            case "PATCH", True if scaler:
                return 200, scaler.patch(self.reply.request.content_type, body)
            case "PATCH", True:
                return patching.patch(writer, self.reply.request.content_type, body)
            case _:
                raise status.method_not_allowed()

    async def delete(self, printer: Printer, body: bytes) -> web.StreamResponse:
        """Delete an object, or what is selected, which is answered as a List."""
        options = deletion.parse(body, self.media_type(), self.reply.query)
        deleter = deletion.Deleter(self.plain_writer(), options)
        if self.target.name:
            return await self.reply.document(deleter.delete() + b"\n")
        if "deletecollection" not in self.target.resource.verbs:
            raise status.method_not_allowed()
        page = self.page(self.list_options(watch=False))
        pieces = printer.pages(deleter.delete_collection(page))
        response = self.reply.response(200)
        return await self.reply.pieces(response, printer.accepted, pieces, streaming=self.behaviour.streaming)

    async def body(self) -> bytes:
        """Read the request's body up to the limit of writes."""
        try:
            return await self.reply.request.read()
        except web.HTTPRequestEntityTooLarge:
            message = f"Request entity too large: limit is {BODY_LIMIT}"
            raise ApiError(413, "RequestEntityTooLarge", message, status.Details()) from None

    def media_type(self) -> str:
        """Return the format of the body, or refuse it; custom resources have no protobuf."""
        return body_type(self.reply.request, custom=self.target.resource.custom)


def body_type(request: web.Request, *, custom: bool = False) -> str:
    """Return the format of a body, or refuse it."""
    accepted = tuple(one for one in BODY_TYPES if not custom or one != protobuf.MEDIA_TYPE)
    given = request.content_type if request.headers.get(hdrs.CONTENT_TYPE) else JSON
    if given not in accepted:
        raise patching.unsupported_media(accepted)
    return given
