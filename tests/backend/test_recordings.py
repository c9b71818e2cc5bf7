"""The backend, filled with the recorded clusters, answers the recorded requests as the real servers did."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import re

import pytest
from yarl import URL

from proxy.backend.server import Backend
from proxy.backend.verbs import Behaviour

from .cluster import Client, Exchange, client_of, exchanges, recorded_store

AGE = re.compile(rb'"(\d+[smhdy])+"')
VERSION = re.compile(rb'"resourceVersion":"30\d"')
UNSTABLE_HEADERS = ("Date", "Audit-Id")
TOKEN = "right"


def masked(name: str, body: bytes) -> bytes:
    """Mask what depends on the time of the recording."""
    if "table" in name:
        body = AGE.sub(b'"<age>"', body)
    return VERSION.sub(b'"resourceVersion":"<version>"', body) if "watch" in name else body


def check_body(exchange: Exchange, body: bytes) -> None:
    """Compare a body with its text or its digest."""
    if exchange.body is not None:
        assert body.decode() == exchange.body
    else:
        assert (len(body), hashlib.sha256(body).hexdigest()) == (exchange.length, exchange.sha256), exchange.name


async def replay(client: Client, exchange: Exchange) -> None:
    """Repeat one exchange and compare all of the answer."""
    headers = {"Authorization": f"Bearer {TOKEN}"} | exchange.headers
    async with client.request(exchange.method, URL(exchange.path, encoded=True), headers=headers) as response:
        body = await response.read()
    if response.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    lines = [[name, value] for name, value in response.headers.items() if name not in UNSTABLE_HEADERS]
    assert (exchange.name, response.status) == (exchange.name, exchange.status)
    assert (exchange.name, lines) == (exchange.name, exchange.response_headers)
    check_body(exchange, masked(exchange.name, body))


@pytest.mark.parametrize("version", ["v1.32", "v1.36"])
async def test_every_recorded_exchange_is_reproduced(version: str) -> None:
    """Status, header lines in their order, and every byte of the body are the same."""
    backend = Backend(recorded_store(version), Behaviour(streaming=version == "v1.36", token=TOKEN))
    recorded = exchanges(version)
    async with client_of(backend) as client:
        for exchange in recorded:
            if "timeoutSeconds" not in exchange.path:
                await replay(client, exchange)
        # Watches last for the time that the recorded client asked for, so they run together.
        await asyncio.gather(*(replay(client, exchange) for exchange in recorded if "timeoutSeconds" in exchange.path))
