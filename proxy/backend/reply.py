"""Answers to one request: the headers that each has, indentation, compression, Status objects."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import hdrs, web

from proxy.backend import framing, gojson, negotiation
from proxy.backend.listoptions import Query
from proxy.backend.negotiation import Accepted, Form
from proxy.backend.status import ApiError, PlainError

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
# Python 3.13 renamed 422; Go keeps the old phrase.
PHRASES = {422: "Unprocessable Entity"}


@dataclass(frozen=True, slots=True)
class Reply:
    """How one request is answered."""

    request: web.Request
    query: Query

    @property
    def accept(self) -> str:
        """The Accept header, its lines joined."""
        return ",".join(self.request.headers.getall(hdrs.ACCEPT, []))

    @property
    def gzip(self) -> bool:
        """Whether the first Accept-Encoding line asks for gzip."""
        return negotiation.accepts_gzip(self.request.headers.get(hdrs.ACCEPT_ENCODING, ""))

    def pretty(self, accepted: Accepted) -> bool:
        """Return whether this client gets indented JSON."""
        agent = self.request.headers.get(hdrs.USER_AGENT, "")
        return negotiation.is_pretty(self.query, agent, accepted=accepted.pretty)

    def response(self, code: int, content_type: str = JSON) -> framing.Response:
        """Return a response with the headers that every answer has."""
        reason = PHRASES.get(code, HTTPStatus(code).phrase)
        audit_id = self.request.headers.get("Audit-ID") or str(uuid.uuid4())
        headers = {"Audit-Id": audit_id, "Cache-Control": "no-cache, private", "Content-Type": content_type}
        return framing.Response(status=code, reason=reason, headers=headers)

    async def document(
        self, body: bytes, *, code: int = 200, accepted: Accepted | None = None, warnings: Iterable[str] = ()
    ) -> framing.Response:
        """Send one JSON document, indented for those who like it so, with what its reader should be warned of."""
        response = self.response(code)
        for text in warnings:
            quoted = text.replace("\\", "\\\\").replace('"', '\\"')
            response.headers.add(hdrs.WARNING, f'299 - "{quoted}"')
        if self.pretty(accepted or Accepted()):
            body = gojson.indent(body)
        return await framing.send(self.request, response, [body], gzip=self.gzip)

    async def aggregated(self, body: bytes, version: str) -> framing.Response:
        """Send the aggregated form of discovery, which clients tell by its type."""
        content_type = f"{JSON};g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
        response = self.response(200, content_type)
        response.headers["Vary"] = "Accept"
        return await framing.send(self.request, response, [body], gzip=self.gzip)

    async def blob(self, body: bytes, content_type: str) -> framing.Response:
        """Send bytes as they are."""
        return await framing.send(self.request, self.response(200, content_type), [body], gzip=False)

    async def text(self, text: str, *, code: int = 200, lines: Iterable[tuple[str, str]] = ()) -> framing.Response:
        """Send plain text as Go's http.Error does."""
        response = self.response(code, TEXT)
        for name, value in lines:
            response.headers.add(name, value)
        response.headers["X-Content-Type-Options"] = "nosniff"
        return await framing.send(self.request, response, [text.encode()], gzip=False)

    async def pieces(
        self, response: framing.Response, accepted: Accepted, pieces: Iterable[bytes], *, streaming: bool
    ) -> framing.Response:
        """Send a List with one of the two encoders; only whole objects are ever streamed, and never indented."""
        pretty = self.pretty(accepted)
        if streaming and accepted.form is Form.OBJECT and not pretty:
            return await framing.send(
                self.request, response, framing.coalesced(pieces), gzip=self.gzip, small_writes=True
            )
        body = await framing.assemble(pieces)
        if pretty:
            indented = gojson.indent(b"".join(body))
            return await framing.send(self.request, response, framing.slices(indented), gzip=self.gzip)
        return await framing.send(self.request, response, body, gzip=self.gzip)

    async def error(self, error: ApiError | PlainError) -> framing.Response:
        """Send a Status; it is indented where the client accepts nothing that could carry it."""
        if isinstance(error, PlainError):
            return await self.text(str(error), code=error.code, lines=error.lines)
        fallback = error.indented or not negotiation.accepts_plain_json(self.accept)
        body = error.body() if fallback else error.body() + b"\n"
        if fallback or self.pretty(Accepted()):
            body = gojson.indent(body)
        response = self.response(error.code)
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        return await framing.send(self.request, response, [body], gzip=False)
