"""What the programs that run clients share: requests come as lines of JSON, answers go as lines of JSON.

A request is ``{"operation", "namespace"}``; its answer ``{"value": …}``, ``{"error": text}`` or ``{"lacks": true}``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]
OBJECTS: Json = json.loads((Path(__file__).parent / "objects.json").read_text(encoding="utf-8"))
LISTED = "default"
"""The namespace of the large List, in which nothing is ever written."""
PAGE = 300
HTTP = b"GET /hello HTTP/1.0\r\n\r\n"
LABELS = "group=many"
COMMAND = ("sh", "-c", "echo out; echo oops >&2; exit 3")
CONTAINER = "main"
MANAGER = "matrix"


@dataclass(frozen=True)
class Cell:
    """One operation: where to, in whose namespace, and a folder for files."""

    server: str
    namespace: str
    scratch: Path


class Operations:
    """The operations that a client has, each under the name of its function."""

    def __init__(self, describe: Callable[[Exception], str] = repr) -> None:
        self._known: dict[str, Callable[[Cell], object]] = {}
        self._describe = describe

    def add(self, operation: Callable[[Cell], Any]) -> Callable[[Cell], Any]:
        """Add one, as a decorator."""
        self._known[operation.__name__] = operation
        return operation

    def serve(self, run: Callable[[Coroutine[Any, Any, object]], object] | None = None) -> None:
        """Answer requests until there are no more; `run` drives what is a coroutine."""
        parser = argparse.ArgumentParser()
        parser.add_argument("server")
        parser.add_argument("scratch", type=Path)
        args = parser.parse_args()
        # What a library prints must not get between the answers.
        answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        for line in sys.stdin:
            request = json.loads(line)
            cell = Cell(args.server, request["namespace"], args.scratch)
            answer = self.answer(request["operation"], cell, run)
            answers.write(json.dumps(answer, default=str) + "\n")
            answers.flush()

    def answer(
        self, name: str, cell: Cell, run: Callable[[Coroutine[Any, Any, object]], object] | None = None
    ) -> dict[str, object]:
        """Do one operation."""
        operation = self._known.get(name)
        if operation is None:
            return {"lacks": True}
        try:
            result = operation(cell)
            if isinstance(result, Coroutine):
                assert run is not None
                result = run(result)
        except Exception as error:  # whatever a library raises is what its user sees
            return {"error": self._describe(error)}
        return {"value": result}


def kubeconfig(cell: Cell) -> Json:
    """Return a kubeconfig without a credential, for clients that want one."""
    return {
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "c", "cluster": {"server": cell.server}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": cell.namespace}}],
        "users": [{"name": "u", "user": {}}],
    }  # fmt: skip


def digest(items: Iterable[object]) -> Json:
    """Return how many items a List has and a hash of all of them, in their order."""
    hashed, count = hashlib.sha256(), 0
    for item in items:
        hashed.update(json.dumps(item, sort_keys=True, default=str).encode())
        count += 1
    return {"items": count, "sha256": hashed.hexdigest()}


def changes(event: str, item: Json) -> list[object]:
    """Return what a watch event tells that does not depend on when it was."""
    return [event, item["metadata"]["name"], item.get("data")]
