"""Requests with bodies, and what they answer."""

from __future__ import annotations

import io
import json
from typing import Any

from tests.backend.cluster import Client

Body = dict[str, Any] | list[Any] | bytes | None

JSON = "application/json"
JSON_PATCH, MERGE, STRATEGIC, APPLY = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)


async def send(client: Client, method: str, path: str, body: Body = None, media_type: str = JSON) -> tuple[int, Any]:
    """Send a request; a body that isn't bytes becomes JSON."""
    data = None if body is None else io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
    headers = {"Content-Type": media_type, "User-Agent": "tester/1.0"}
    async with client.request(method, path, data=data, headers=headers) as response:
        return response.status, json.loads(await response.read())


async def warnings(client: Client, method: str, path: str, body: Body) -> list[str]:
    """Send a request and return what its answer warns of."""
    async with client.request(method, path, json=body) as response:
        return response.headers.getall("Warning", [])


def config_map(name: str, **data: str) -> dict[str, Any]:
    """Return a ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
