"""The proxy subresource of pods and services: the little HTTP service of a pod, and a WebSocket that echoes."""

from __future__ import annotations

from aiohttp import WSMsgType, web
from msgspec import Struct

from proxy.backend import framing, gojson, resources, status
from proxy.backend.reply import TEXT, Reply
from proxy.backend.requestpath import Target
from proxy.backend.status import ApiError
from proxy.backend.store import Store
from proxy.backend.streams import handshakes, pods, services
from proxy.backend.streams.pods import Metadata, Pod, PodStatus, Spec

# Where the path for the pod begins: /api/v1/namespaces/NS/pods/NAME/proxy/…
PATH_AT = 8
WEBSOCKET_PATH = "/ws"


class ServicePort(Struct, frozen=True):
    """A port of a service."""

    port: int
    name: str = ""


class ServiceSpec(Struct, frozen=True):
    """A service's spec."""

    ports: list[ServicePort] | None = None


class ServiceObject(Struct, frozen=True):
    """A service."""

    metadata: Metadata
    spec: ServiceSpec = ServiceSpec()


def split_name(text: str, kind: str) -> tuple[str, str]:
    """Return name and port of `NAME`, `NAME:PORT` or `SCHEME:NAME:PORT`."""
    match text.split(":"):
        case (name,):
            return name, ""
        case (name, port) | (_, name, port) if name:
            return name, port
        case _:
            raise status.bad_request(f'invalid {kind} request "{text}"')


def resolve(store: Store, target: Target) -> tuple[Pod, int]:
    """Return what is meant, and on which port."""
    name, port = split_name(target.name, target.resource.singular)
    if target.resource is resources.PODS:
        pod = pods.find(store, target.namespace, name)
        ports = pod.ports
    else:
        pod, ports = find_service(store, target.namespace, name)
    number = ports.get(port) or (int(port) if port.isdecimal() and len(port) < 6 else 0)
    if port and not number:
        raise ApiError(
            503, "ServiceUnavailable", f'no service port "{port}" found for {target.resource.singular} "{name}"'
        )
    number = number or next(iter(ports.values()), services.HTTP_PORT)
    if not services.listens(pod, number) and number not in ports.values():
        address = f"{pod.status.podIP or '10.0.0.1'}:{number}"
        text = f"error trying to reach service: dial tcp {address}: connect: connection refused"
        raise ApiError(503, "ServiceUnavailable", text)
    return pod, number


def find_service(store: Store, namespace: str, name: str) -> tuple[Pod, dict[str, int]]:
    """Return a service as if it were a pod: whatever it selects answers alike."""
    found = store.collections[resources.SERVICES].get(f"{namespace}/{name}")
    if found is None:
        raise status.not_found(resources.SERVICES.plural, "", name)
    service = gojson.decode(found.item(), ServiceObject)
    ports = {key: port.port for port in service.spec.ports or [] for key in (port.name, str(port.port)) if key}
    return Pod(service.metadata, Spec([]), PodStatus()), ports


async def serve(store: Store, reply: Reply, target: Target) -> web.StreamResponse:
    """Answer for what runs in a pod."""
    request = reply.request
    pod, port = resolve(store, target)
    parts = request.rel_url.raw_path.split("/", PATH_AT)
    path = "/" + parts[PATH_AT] if len(parts) > PATH_AT else ""
    if path == WEBSOCKET_PATH and handshakes.is_websocket(request):
        return await echo(request)
    query = f"?{request.rel_url.raw_query_string}" if request.rel_url.raw_query_string else ""
    if not path and request.method in {"GET", "HEAD"}:
        response = reply.response(301)
        response.headers["Location"] = f"{request.rel_url.raw_path}/{query}"
        return await framing.send(request, response, [], gzip=False)
    answer = services.page(pod, port, request.method, path + query, await request.read())
    return await framing.send(request, reply.response(answer.code, TEXT), [answer.body], gzip=False)


async def echo(request: web.Request) -> web.WebSocketResponse:
    """Send every message back; the first subprotocol that is offered is spoken."""
    offered = handshakes.tokens(request, "Sec-WebSocket-Protocol")
    websocket = await handshakes.open_websocket(request, offered[0] if offered else "")
    async for message in websocket:
        if message.type is WSMsgType.TEXT:
            await websocket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await websocket.send_bytes(message.data)
    return websocket
