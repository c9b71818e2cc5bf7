"""What a request for one of these subresources is answered with."""

from __future__ import annotations

from aiohttp import web

from proxy.backend import resources, status
from proxy.backend.reply import Reply
from proxy.backend.requestpath import Target
from proxy.backend.store import Store
from proxy.backend.streams import logs, pods, portforward, proxying, remotecommand
from proxy.backend.streams.insides import Insides
from proxy.backend.streams.logs import Log

SERVED = {
    resources.PODS: ("attach", "exec", "log", "portforward", "proxy"),
    resources.SERVICES: ("proxy",),
}
METHODS = {"log": ("GET",), "proxy": ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")}
UPGRADE_METHODS = ("GET", "POST")


def serves(target: Target) -> bool:
    """Return whether a resource path leads here."""
    return bool(target.name) and target.subresource in SERVED.get(target.resource, ())


class Subresources:
    """What a kubelet does for the pods of a store."""

    def __init__(self, store: Store, log_interval: float) -> None:
        self.store = store
        self.log_interval = log_interval
        self.insides = Insides()

    async def serve(self, reply: Reply, target: Target) -> web.StreamResponse:
        """Answer one request."""
        if reply.request.method not in METHODS.get(target.subresource, UPGRADE_METHODS):
            raise status.method_not_allowed()
        if target.subresource == "proxy":
            return await proxying.serve(self.store, reply, target)
        pod = pods.find(self.store, target.namespace, target.name)
        match target.subresource:
            case "exec":
                return await remotecommand.execute(reply, pod, self.insides.of(pod))
            case "attach":
                log = Log(pod.metadata.name, self.log_interval)
                return await remotecommand.attach(reply, pod, self.insides.of(pod), log)
            case "portforward":
                return await portforward.serve(reply.request, pod)
            case _:
                return await logs.serve(reply, pod, self.log_interval)
