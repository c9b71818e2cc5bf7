"""The recorded exchanges in tests/vectors, as the tests of the core use them."""

import json
from dataclasses import dataclass
from pathlib import Path

VECTORS = Path(__file__).parent.parent / "vectors"
VERSIONS = ("v1.32", "v1.36")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One recorded request with its answer."""

    version: str
    name: str
    method: str
    target: str
    accept: list[str]
    user_agent: str
    status: int
    content_type: str
    content_encoding: str
    body: bytes


def exchanges() -> list[Exchange]:
    """Return every exchange with both servers."""
    return [_exchange(version, entry) for version in VERSIONS for entry in _index(version)]


def body(version: str, name: str) -> bytes:
    """Return the bytes of one recorded body."""
    return (VECTORS / version / name).read_bytes()


def json_bodies() -> list[tuple[str, bytes]]:
    """Return every distinct body that is one whole JSON document, with a name for the test's report."""
    found: dict[tuple[str, str], bytes] = {}
    for version in VERSIONS:
        for path in sorted((VECTORS / version).glob("*.json")):
            data = path.read_bytes()
            if path.name != "index.json" and _is_json(data):
                found[version, path.name] = data
    return [(f"{version}/{name}", data) for (version, name), data in found.items()]


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True


def _index(version: str) -> list[dict[str, dict[str, object]]]:
    entries: list[dict[str, dict[str, object]]] = json.loads(body(version, "index.json"))
    return entries


def _exchange(version: str, entry: dict[str, dict[str, object]]) -> Exchange:
    request, response = entry["request"], entry["response"]
    return Exchange(
        version,
        str(entry["name"]),
        str(request["method"]),
        str(request["path"]),
        _values(request["headers"], "accept"),
        "".join(_values(request["headers"], "user-agent")),
        int(str(response["status"])),
        "".join(_values(response["headers"], "content-type")),
        "".join(_values(response["headers"], "content-encoding")),
        body(version, str(response["body"])),
    )


def _values(lines: object, name: str) -> list[str]:
    assert isinstance(lines, list)
    return [value for key, value in lines if key.lower() == name]
