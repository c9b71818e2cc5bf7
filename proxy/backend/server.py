"""The HTTP side: one handler that routes, negotiates, sets the headers and maps errors to Status answers."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from http import HTTPStatus

from aiohttp import hdrs, web

from proxy.backend import (
    discovery,
    following,
    framing,
    gojson,
    listoptions,
    negotiation,
    openapi,
    requestpath,
    status,
    watch,
    writes,
)
from proxy.backend.encoding import Printer
from proxy.backend.listoptions import ListOptions, Query
from proxy.backend.negotiation import Accepted, Form
from proxy.backend.requestpath import Target
from proxy.backend.status import ApiError, PlainError
from proxy.backend.store import Store

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
# Python 3.13 renamed 422; Go keeps the old phrase.
PHRASES = {422: "Unprocessable Entity"}
BODY_LIMIT = 3 << 20
# What a real apiserver tells anybody.
PUBLIC = (*discovery.HEALTH, "version")
INCLUDE_OBJECT = ("", "None", "Metadata", "Object")
# A real apiserver takes a megabyte of request headers.
HEADER_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the simulated apiserver behaves."""

    streaming: bool = True
    token: str = ""
    list_deadline: float = 60.0
    bookmark_interval: float = 60.0


class Backend:
    """The simulated apiserver."""

    def __init__(self, store: Store, behaviour: Behaviour) -> None:
        self.store = store
        self.behaviour = behaviour
        self.documents = discovery.documents("127.0.0.1:443", streaming=behaviour.streaming) | openapi.documents()

    def application(self) -> web.Application:
        """Return the aiohttp application."""
        application = web.Application(client_max_size=BODY_LIMIT)
        application.router.add_route("*", "/{path:.*}", self.handle)
        application.on_response_prepare.append(drop_server_header)
        return application

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        query = listoptions.parse_query(request.rel_url.raw_query_string)
        try:
            self.authenticate(request)
            return await self.route(request, query)
        except ApiError as error:
            return await self.send_error(request, query, error)
        except PlainError as error:
            response = new_response(request, error.code, TEXT)
            response.headers["X-Content-Type-Options"] = "nosniff"
            return await framing.send(request, response, [str(error).encode()], gzip=False)

    def authenticate(self, request: web.Request) -> None:
        """Refuse a wrong or missing bearer token, if one is required."""
        open_to_all = request.rel_url.raw_path.strip("/") in PUBLIC and hdrs.AUTHORIZATION not in request.headers
        if not self.behaviour.token or open_to_all:
            return
        scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() != "bearer" or token != self.behaviour.token:
            raise status.unauthorized()

    async def route(self, request: web.Request, query: Query) -> web.StreamResponse:
        """Find out what a path means."""
        parts = requestpath.segments(request.rel_url.raw_path)
        path = "/".join(parts)
        if path == openapi.V2_PATH:
            response = new_response(request, 200, openapi.V2_TYPE)
            return await framing.send(request, response, [self.documents[path]], gzip=False)
        if document := self.documents.get(path):
            return await self.send_document(request, query, document)
        if parts and parts[0] in discovery.HEALTH:
            response = new_response(request, 200, TEXT)
            response.headers["X-Content-Type-Options"] = "nosniff"
            return await framing.send(request, response, [b"ok"], gzip=False)
        if len(parts) < (3 if parts[:1] == ["api"] else 4) or parts[0] not in {"api", "apis"}:
            raise PlainError(404, requestpath.NOT_FOUND)
        return await self.serve(request, query, requestpath.parse(parts))

    async def serve(self, request: web.Request, query: Query, target: Target) -> web.StreamResponse:
        """Answer a request for a resource."""
        if request.method == "HEAD" and not target.resource.custom:
            raise status.method_not_allowed()
        if request.method not in {"GET", "HEAD"}:
            return await self.write(request, query, target)
        if target.name and not target.watch:
            return await self.get(request, query, target)
        options = listoptions.parse(query, watch=True if target.watch else None)
        if options.watch:
            return await self.watch(request, query, target, options)
        return await self.list(request, query, target, options)

    def printer(self, request: web.Request, query: Query, target: Target, *, tables: bool = True) -> Printer:
        """Negotiate how objects are printed."""
        header = ",".join(request.headers.getall(hdrs.ACCEPT, []))
        accepted = negotiation.negotiate(header, custom=target.resource.custom, tables=tables)
        include = query.get("includeObject", "") if accepted.form is Form.TABLE else ""
        if include not in INCLUDE_OBJECT:
            raise status.bad_request(f"unrecognized includeObject value: {include}")
        return Printer(target.resource, accepted, include, time.time())

    async def list(
        self, request: web.Request, query: Query, target: Target, options: ListOptions
    ) -> web.StreamResponse:
        """Answer a List, which is cut off where writing it takes longer than the deadline."""
        # The client may shorten the deadline, never lengthen it.
        deadline = self.behaviour.list_deadline
        if query.get("timeout"):
            deadline = min(deadline, listoptions.duration(query["timeout"]) or deadline)
        printer = self.printer(request, query, target)
        printer.accepted.check(listed=True, go_type=target.resource.list_kind)
        page = self.store.list(target.resource, target.namespace or None, options, time.monotonic())
        pieces = printer.pages(page)
        response = new_response(request, 200, JSON)
        try:
            async with asyncio.timeout(deadline):
                return await self.send_list(request, query, response, printer.accepted, pieces)
        except TimeoutError:
            if not response.prepared:
                raise ApiError(
                    504, "Timeout", "Timeout: request did not complete within the allotted timeout"
                ) from None
            if request.transport is not None:
                request.transport.abort()
            return response

    async def send_list(
        self,
        request: web.Request,
        query: Query,
        response: web.StreamResponse,
        accepted: Accepted,
        pieces: Iterable[bytes],
    ) -> web.StreamResponse:
        """Write a List with one of the two encoders; only whole objects are ever streamed, and never indented."""
        gzip = accepts_gzip(request)
        pretty = is_pretty(request, query, accepted)
        if self.behaviour.streaming and accepted.form is Form.OBJECT and not pretty:
            return await framing.send(request, response, framing.coalesced(pieces), gzip=gzip)
        body = await framing.assemble(pieces)
        if pretty:
            return await framing.send(request, response, framing.slices(gojson.indent(b"".join(body))), gzip=gzip)
        return await framing.send(request, response, body, gzip=gzip)

    async def get(self, request: web.Request, query: Query, target: Target) -> web.StreamResponse:
        """Answer a get."""
        printer = self.printer(request, query, target)
        printer.accepted.check(listed=False, go_type=target.resource.kind)
        if target.subresource not in {"", "status"}:
            raise status.unknown_resource()
        found = self.store.collections[target.resource].get(target.key)
        if found is None:
            raise status.not_found(target.resource.plural, target.resource.group, target.name)
        body = printer.answer(found.item(), found.version) + b"\n"
        return await self.send_document(request, query, body, accepted=printer.accepted)

    async def watch(
        self, request: web.Request, query: Query, target: Target, options: ListOptions
    ) -> web.StreamResponse:
        """Answer a watch."""
        options = watch.with_defaults(options)
        if target.name:
            options = replace(options, selection=replace(options.selection, name=target.name))
        # WatchLists as Tables came with 1.34.
        tables = self.behaviour.streaming or not options.is_watch_list
        printer = self.printer(request, query, target, tables=tables)
        watcher = watch.Watcher(self.store, printer, target.namespace, options, streaming=self.behaviour.streaming)
        pace = following.Pace.of(options.timeout_seconds, self.behaviour.bookmark_interval)
        return await following.follow(request, new_response(request, 200, JSON), watcher, pace)

    async def write(self, request: web.Request, query: Query, target: Target) -> web.StreamResponse:
        """Answer a create, update, patch or delete."""
        clock = writes.Clock(time.monotonic(), time.time())
        writer = writes.Writer(self.store, target, clock, dry_run=query.get("dryRun") == "All")
        body = await read_body(request)
        printer = self.printer(request, query, target)
        placed = bool(target.namespace) or not target.resource.namespaced
        match request.method, bool(target.name):
            case "POST", False if placed:
                check_content_type(request)
                code, item = 201, writer.create(body)
            case "PUT", True:
                check_content_type(request)
                code, item = 200, writer.update(body)
            case "PATCH", True:
                code, item = 200, writer.patch(request.content_type, body)
            case "DELETE", True:
                return await self.send_document(request, query, writer.delete() + b"\n")
            case "DELETE", False if "deletecollection" in target.resource.verbs:
                page = self.store.list(
                    target.resource, target.namespace or None, listoptions.parse(query, watch=False), clock.monotonic
                )
                pieces = printer.pages(writer.delete_collection(page))
                response = new_response(request, 200, JSON)
                return await self.send_list(request, query, response, printer.accepted, pieces)
            case _:
                raise status.method_not_allowed()
        document = printer.answer(item, self.store.version) + b"\n"
        return await self.send_document(request, query, document, code=code, accepted=printer.accepted)

    async def send_document(
        self, request: web.Request, query: Query, body: bytes, *, code: int = 200, accepted: Accepted | None = None
    ) -> web.StreamResponse:
        """Send one JSON document, indented for those who like it so."""
        if is_pretty(request, query, accepted or Accepted()):
            body = gojson.indent(body)
        return await framing.send(request, new_response(request, code, JSON), [body], gzip=accepts_gzip(request))

    async def send_error(self, request: web.Request, query: Query, error: ApiError) -> web.StreamResponse:
        """Send a Status; it is indented where the client accepts nothing that could carry it."""
        header = ",".join(request.headers.getall(hdrs.ACCEPT, []))
        fallback = error.indented or not negotiation.accepts_plain_json(header)
        body = error.body() if fallback else error.body() + b"\n"
        if fallback or is_pretty(request, query, Accepted()):
            body = gojson.indent(body)
        response = new_response(request, error.code, JSON)
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        return await framing.send(request, response, [body], gzip=False)


def new_response(request: web.Request, code: int, content_type: str) -> web.StreamResponse:
    """Return a response with the headers that every answer has."""
    reason = PHRASES.get(code, HTTPStatus(code).phrase)
    audit_id = request.headers.get("Audit-ID") or str(uuid.uuid4())
    headers = {"Audit-Id": audit_id, "Cache-Control": "no-cache, private", "Content-Type": content_type}
    return web.StreamResponse(status=code, reason=reason, headers=headers)


async def read_body(request: web.Request) -> bytes:
    """Read a request's body up to the limit of writes."""
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        message = f"Request entity too large: limit is {BODY_LIMIT}"
        raise ApiError(413, "RequestEntityTooLarge", message, status.Details()) from None


def check_content_type(request: web.Request) -> None:
    """Refuse what isn't JSON."""
    if request.headers.get(hdrs.CONTENT_TYPE) and request.content_type != JSON:
        accepted = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
        raise writes.unsupported_media(
            f"the body of the request was in an unknown format - accepted media types include: {accepted}"
        )


def accepts_gzip(request: web.Request) -> bool:
    """Whether the first Accept-Encoding line asks for gzip."""
    return negotiation.accepts_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, ""))


def is_pretty(request: web.Request, query: Query, accepted: Accepted) -> bool:
    """Whether this client gets indented JSON."""
    return negotiation.is_pretty(query, request.headers.get(hdrs.USER_AGENT, ""), accepted=accepted.pretty)


async def drop_server_header(request: web.Request, response: web.StreamResponse) -> None:
    """Drop the Server header: an apiserver doesn't say who it is."""
    del request
    response.headers.popall(hdrs.SERVER, None)
