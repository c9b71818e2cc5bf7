"""What a request for one of these subresources is answered with."""

from __future__ import annotations

from aiohttp import web

from proxy.backend import resources, status
from proxy.backend.reply import Reply
from proxy.backend.requestpath import Target
from proxy.backend.streams import remotecommand
from proxy.backend.streams.pods import Pods

POD_SUBRESOURCES = ("exec",)
UPGRADE_METHODS = ("GET", "POST")


def serves(target: Target) -> bool:
    """Return whether a resource path leads here."""
    return target.resource is resources.PODS and bool(target.name) and target.subresource in POD_SUBRESOURCES


async def serve(pods: Pods, reply: Reply, target: Target) -> web.StreamResponse:
    """Answer one request."""
    pod = pods.find(target.namespace, target.name)
    inside = pods.inside(pod)
    if reply.request.method not in UPGRADE_METHODS:
        raise status.method_not_allowed()
    return await remotecommand.execute(reply, pod, inside)
