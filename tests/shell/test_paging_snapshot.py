"""A paged List is every item of one snapshot, while the embedded backend's objects change under it."""

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from proxy.backend.objects import Generated, Sizes
from proxy.backend.resources import PODS, WIDGETS, Resource
from proxy.backend.server import Backend
from proxy.backend.verbs import Behaviour
from proxy.settings import Paging
from tests.backend.cluster import Options, generated_backend
from tests.fakes.running import running
from tests.fakes.wire import Client, request

LOOPS = ("uvloop",)
ROUNDS = 200
AT_ONCE = 5
TARGETS = {PODS: "/api/v1/pods", WIDGETS: "/apis/example.com/v1/widgets"}
LIST_VERSION = re.compile(rb'"metadata":\{(?:"continue":"",)?"resourceVersion":"(\d+)"\}[},]')


class Restless(Backend):
    """A backend in which something is changed, deleted or made before each page is served."""

    def __init__(self, calm: Backend, resource: Resource) -> None:
        super().__init__(calm.store, calm.behaviour)
        self._resource = resource
        self._random = random.Random(7)
        self.pages = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Write, then answer."""
        if "limit" in request.query:
            self.pages += 1
            for _ in range(self._random.randrange(3)):
                self._write()
        return await super().handle(request)

    def _write(self) -> None:
        collection = self.store.collections[self._resource]
        index = self._random.randrange(collection.population.count)
        key = collection.population.key(index)
        gone = collection.get(key) is None
        if not gone and self._random.random() < 0.4:
            self.store.put(self._resource, key, lambda _: None, time.monotonic())
        else:
            self.store.put(
                self._resource, key, lambda version: Generated(collection.population, index, version), time.monotonic()
            )


@asynccontextmanager
async def restless(resource: Resource, *, streaming: bool) -> AsyncIterator[tuple[Restless, str]]:
    """Serve a small cluster; return it and its address."""
    sizes = Sizes(pods=40, pod_size=1000, widgets=40)
    backend = Restless(generated_backend(Options(sizes, Behaviour(streaming=streaming))), resource)
    async with TestServer(backend.application()) as server:
        yield backend, str(server.make_url("")).rstrip("/")


@pytest.mark.parametrize("streaming", [False, True], ids=["tokens of etcd", "tokens of the cache"])
@pytest.mark.parametrize("resource", TARGETS, ids=lambda resource: resource.plural)
async def test_every_list_is_one_snapshot(resource: Resource, streaming: bool) -> None:
    """Two hundred Lists of many pages each equal the List of exactly their resourceVersion."""
    target = TARGETS[resource]
    async with (
        restless(resource, streaming=streaming) as (backend, url),
        running(url, mode="paged", paging=Paging(page_items=7)) as proxy,
        await Client.connect("127.0.0.1", int(url.rpartition(":")[2])) as direct,
    ):
        clients = [await proxy.connect() for _ in range(AT_ONCE)]
        versions = set()
        for number in range(ROUNDS // 2 // AT_ONCE):
            query = ("", "?resourceVersion=0", "?limit=500&resourceVersion=0")[number % 3]
            lines = [b"Accept: application/json"]
            answers = await asyncio.gather(*(client.ask(request(target + query, *lines)) for client in clients))
            for answer in answers:
                assert answer.complete
                assert answer.mode == "paged; reason=settings"
                found = LIST_VERSION.findall(answer.body)
                assert found, answer.body[:300]
                version = found[0 if resource is PODS else -1].decode()
                exact = f"{target}?resourceVersion={version}&resourceVersionMatch=Exact"
                expected = await direct.ask(request(exact, *lines))
                assert expected.status == 200
                assert answer.body == expected.body
                versions.add(version)
        assert len(versions) > ROUNDS // 10  # it did change
        assert backend.pages > 2 * ROUNDS
        for client in clients:
            client.close()
        await proxy.quiet()
        assert proxy.sample("restream_aborts_total") == 0
