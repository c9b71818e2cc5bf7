"""Metrics: their names, their bounds, and that they tell the truth."""

import random
import re
from bisect import bisect_left
from pathlib import Path

import pytest

from proxy.collectors import ITEM_SIZES, ItemSizes
from proxy.metrics import MAX_RESOURCES
from tests.fakes.apiserver import SMALL_LIST, Apiserver, Exchange, response, script
from tests.fakes.running import eventually, running
from tests.fakes.wire import request

NAMES = {
    "restream_requests_total": {"mode", "reason", "verb", "group", "resource", "code"},
    "restream_request_duration_seconds": {"mode", "verb"},
    "restream_first_byte_seconds": {"mode", "verb"},
    "restream_upstream_first_byte_seconds": {"mode", "verb"},
    "restream_response_bytes": {"mode", "verb"},
    "restream_items_total": {"mode", "group", "resource"},
    "restream_item_bytes": {"mode"},
    "restream_upstream_pages_total": {"mode", "group", "resource"},
    "restream_inflight_requests": {"mode"},
    "restream_buffered_bytes": {"mode"},
    "restream_request_peak_buffered_bytes": {"mode"},
    "restream_client_stall_seconds_total": {"mode"},
    "restream_aborts_total": {"reason"},
    "restream_client_refusals_total": {"reason"},
    "restream_client_connections": set(),
    "restream_head_bytes": set(),
    "restream_upstream_up": {"address"},
    "restream_upstream_breaker_open": {"address"},
    "restream_upstream_failovers_total": {"address"},
    "restream_upstream_retries_total": {"kind", "outcome"},
    "restream_memory_budget_bytes": set(),
    "restream_memory_granted_bytes": set(),
    "restream_waiting_lists": set(),
    "restream_resident_memory_peak_bytes": set(),
    "restream_open_files_limit": set(),
    "restream_config_last_reload_successful": set(),
    "restream_config_last_reload_success_timestamp_seconds": set(),
    "restream_build_info": {"version", "python_version", "scanner"},
}
"""Every metric of the design, with its labels."""

WORKER_NAMES = ("restream_worker_up", "restream_worker_connections", "restream_worker_restarts_total")
"""What there is beyond that with several workers."""

ROOT = Path(__file__).parent.parent


def series(exposition: str, prefix: str = "restream_") -> set[str]:
    """Return the names and labels of all samples whose name begins with `prefix`."""
    return {line.rpartition(" ")[0] for line in exposition.splitlines() if line.startswith(prefix)}


async def test_every_metric_of_the_design_is_there() -> None:
    """After one List and one abort every metric is exposed, with its labels and no others."""
    async with Apiserver() as upstream, running(upstream.url) as proxy:
        await proxy.ask(request())
        upstream.script = script(response(SMALL_LIST, framing="chunked", chunk_size=80)[:-60], close=True)
        await proxy.ask(request())
        await proxy.aborts("upstream_closed")
        answer = await proxy.ask_admin("/metrics")
        assert answer.first(b"content-type").startswith(b"text/plain; version=0.0.4")
        found = series(answer.body.decode())
        for name, labels in NAMES.items():
            mine = [line for line in found if re.fullmatch(rf"{name}(_bucket|_count|_sum)?(\{{.*\}})?", line)]
            assert mine, name
            for line in mine:
                assert set(re.findall(r"[{,](\w+)=", line)) - {"le"} == labels, line
        assert not [line for line in found if "_created" in line]
        assert series(answer.body.decode(), "process_") >= {"process_resident_memory_bytes", "process_open_fds"}


async def test_what_one_list_counts() -> None:
    """A List is one request, its items, their bytes, one page and one observation of each histogram."""
    async with Apiserver() as upstream, running(upstream.url) as proxy:
        await proxy.ask(request("/apis/apps/v1/namespaces/a/deployments"))
        await proxy.quiet()
        labels = {"mode": "streamed", "group": "apps", "resource": "deployments"}
        request_labels = {**labels, "reason": "streaming_encoder", "verb": "list", "code": "200"}
        assert proxy.sample("restream_requests_total", **request_labels) == 1
        assert proxy.sample("restream_items_total", **labels) == 2
        assert proxy.sample("restream_upstream_pages_total", **labels) == 1
        assert proxy.sample("restream_item_bytes_sum", mode="streamed") == 2 * len(b'{"metadata":{"name":"a"}}')
        assert proxy.sample("restream_item_bytes_bucket", mode="streamed", le="256.0") == 2
        assert proxy.sample("restream_response_bytes_sum", mode="streamed", verb="list") == len(SMALL_LIST)
        for name in ("request_duration", "first_byte", "upstream_first_byte"):
            assert proxy.sample(f"restream_{name}_seconds_count", mode="streamed", verb="list") == 1
        assert proxy.sample("restream_request_peak_buffered_bytes_count", mode="streamed") == 1
        assert proxy.sample("restream_aborts_total") == 0


async def test_what_other_requests_count() -> None:
    """Other requests count by their verb and resource, failures by what we answered."""
    async with Apiserver() as upstream, running(upstream.url) as proxy:
        for method, target in (
            ("GET", "/api/v1/namespaces/a/pods/x"),
            ("POST", "/api/v1/namespaces/a/pods"),
            ("DELETE", "/api/v1/namespaces/a/pods"),
            ("GET", "/api/v1/pods?watch=1"),
            ("GET", "/version"),
            ("PURGE", "/api/v1/pods"),
        ):
            await proxy.ask(request(target, method=method), method=method)
        await proxy.quiet()
        pods = {"mode": "raw", "group": "", "resource": "pods", "code": "200"}
        for verb in ("get", "create", "deletecollection", "watch"):
            assert proxy.sample("restream_requests_total", verb=verb, **pods) == 1
        assert proxy.sample("restream_requests_total", verb="get", resource="other") == 1
        assert proxy.sample("restream_items_total") == 0
        upstream.script = script(b"garbage\r\n", close=True)
        await proxy.ask(request())
        await eventually(lambda: proxy.sample("restream_requests_total", code="502", reason="upstream_protocol") == 1)


async def test_invented_paths_add_no_series() -> None:
    """Two thousand invented resources, groups and namespaces that answer 404 add not one series."""

    async def not_found(exchange: Exchange) -> None:
        await exchange.send(response(b"404 page not found\n", status=b"404 Not Found"))

    def invent(number: int) -> list[str]:
        return [
            f"/api/v1/things{number}",
            f"/apis/group{number}.example/v1/things",
            f"/api/v1/namespaces/ns{number}/pods/x{number}/sub{number}",
            f"/{number}?x={number}",
        ]

    async with Apiserver(not_found) as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        for target in invent(0):
            await client.ask(request(target))
        before = series((await proxy.ask_admin("/metrics")).body.decode())
        for number in range(1, 501):
            for target in invent(number):
                await client.send(request(target))
            for _ in range(4):
                assert (await client.answer()).status == 404
        await proxy.quiet()
        assert series((await proxy.ask_admin("/metrics")).body.decode()) == before
        assert "things" not in "".join(before)


async def test_resources_are_learnt_up_to_a_bound() -> None:
    """A resource becomes a label with its first 2xx; even an upstream that has everything adds a bounded number."""
    async with Apiserver() as upstream, running(upstream.url) as proxy, await proxy.connect() as client:
        for number in range(MAX_RESOURCES + 100):
            assert (await client.ask(request(f"/api/v1/things{number}/x"))).status == 200
        await proxy.quiet()
        text = (await proxy.ask_admin("/metrics")).body.decode()
        resources = set(re.findall(r'resource="(\w+)"', text))
        assert len(resources) == MAX_RESOURCES + 1
        assert "other" in resources


async def test_readiness_follows_the_upstream() -> None:
    """/readyz is 200 while the upstream answers below 500, whatever it answers; /healthz is 200 always."""
    async with Apiserver() as upstream, running(upstream.url) as proxy:
        for status, expected in ((b"200 OK", 200), (b"403 Forbidden", 200), (b"500 Oops", 503), (b"200 OK", 200)):
            upstream.version = response(b"{}", status=status)
            assert (await proxy.ask_admin("/readyz")).status == expected
            assert (await proxy.ask_admin("/healthz")).status == 200
        assert (await proxy.ask_admin("/nothing")).status == 404
        assert proxy.sample("restream_requests_total") == 0


@pytest.mark.parametrize("seed", range(5))
def test_item_sizes_are_counted_as_a_histogram_would(seed: int) -> None:
    """Counting a batch at a time puts every size into the bucket that `Histogram.observe` would."""
    generator = random.Random(seed)
    edges = [size + by for size in ITEM_SIZES for by in (-1, 0, 1)]
    sizes = [generator.choice([*edges, 0, 1, generator.randrange(1 << 26)]) for _ in range(2000)]
    counted = ItemSizes()
    for at in range(0, len(sizes), 97):
        counted.count("streamed", sizes[at : at + 97])
    expected = [0] * (len(ITEM_SIZES) + 1)
    for size in sizes:
        expected[bisect_left(ITEM_SIZES, size)] += 1
    (family,) = counted.collect()
    buckets = [sample.value for sample in family.samples if sample.name.endswith("_bucket")]
    assert buckets == [sum(expected[: at + 1]) for at in range(len(expected))]
    assert next(sample.value for sample in family.samples if sample.name.endswith("_sum")) == sum(sizes)
