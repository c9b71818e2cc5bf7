"""The HTTP side: one handler that authenticates, routes and maps errors to answers."""

from __future__ import annotations

from aiohttp import hdrs, web

from proxy.backend import discovery, listoptions, openapi, openapiv2, requestpath, reviews, status
from proxy.backend.reply import Reply
from proxy.backend.reviews import Review
from proxy.backend.status import ApiError, PlainError
from proxy.backend.store import Store
from proxy.backend.streams import subresources
from proxy.backend.streams.subresources import Subresources
from proxy.backend.verbs import BODY_LIMIT, Behaviour, Verbs, body_type

# What a real apiserver tells anybody.
PUBLIC = (*discovery.HEALTH, "version")
# A real apiserver takes a megabyte of request headers.
HEADER_LIMIT = 1 << 20


class Backend:
    """The simulated apiserver."""

    def __init__(self, store: Store, behaviour: Behaviour) -> None:
        self.store = store
        self.behaviour = behaviour
        self.subresources = Subresources(store, behaviour.log_interval)
        self.documents = discovery.documents("127.0.0.1:443", streaming=behaviour.streaming) | openapi.documents()

    def application(self) -> web.Application:
        """Return the aiohttp application."""
        application = web.Application(client_max_size=BODY_LIMIT)
        application.router.add_route("*", "/{path:.*}", self.handle)
        application.on_response_prepare.append(drop_server_header)
        return application

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        reply = Reply(request, listoptions.parse_query(request.rel_url.raw_query_string))
        try:
            self.authenticate(request)
            return await self.route(reply)
        except (ApiError, PlainError) as error:
            return await reply.error(error)

    def authenticate(self, request: web.Request) -> None:
        """Refuse a wrong or missing bearer token, if one is required."""
        open_to_all = request.rel_url.raw_path.strip("/") in PUBLIC and hdrs.AUTHORIZATION not in request.headers
        if not self.behaviour.token or open_to_all:
            return
        scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() != "bearer" or token != self.behaviour.token:
            raise status.unauthorized()

    async def route(self, reply: Reply) -> web.StreamResponse:
        """Find out what a path means."""
        parts = requestpath.segments(reply.request.rel_url.raw_path)
        path = "/".join(parts)
        if path == openapi.V2_PATH and "protobuf" in reply.accept:
            return await reply.blob(openapiv2.document(), openapiv2.MEDIA_TYPE)
        if path in {"api", "apis"} and (version := discovery.aggregated_version(reply.accept)):
            return await reply.aggregated(discovery.aggregated(path, version), version)
        if document := self.documents.get(path):
            return await reply.document(document)
        if parts and parts[0] in discovery.HEALTH:
            return await reply.text("ok")
        if review := reviews.BY_PATH.get(path):
            return await self.review(reply, review)
        if not requestpath.names_resource(parts):
            raise PlainError(404, requestpath.NOT_FOUND)
        target = requestpath.parse(parts)
        if subresources.serves(target):
            return await self.subresources.serve(reply, target)
        return await Verbs(self.store, self.behaviour, reply, target).serve()

    async def review(self, reply: Reply, review: Review) -> web.StreamResponse:
        """Answer what a client asks about itself."""
        if reply.request.method != "POST":
            raise status.method_not_allowed()
        answer = review.create(await reply.request.read(), body_type(reply.request))
        return await reply.document(answer + b"\n", code=201)


async def drop_server_header(request: web.Request, response: web.StreamResponse) -> None:
    """Drop the Server header: an apiserver doesn't say who it is."""
    del request
    response.headers.popall(hdrs.SERVER, None)
