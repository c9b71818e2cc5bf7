"""A running kube-apiserver: where it is, who we are to it, and ways to ask it without a proxy in between."""

import http.client
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NewType

from tests.fakes.wire import Answer, Client, request

Token = NewType("Token", str)
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
STRANGER = "stranger"
"""A user who may do nothing."""


class Caller:
    """A kept connection for what is done before the tests: one call after the other, without an event loop."""

    def __init__(self, connection: http.client.HTTPSConnection, token: Token) -> None:
        self._connection = connection
        self._token = token

    def call(self, method: str, target: str, body: object = None, content_type: str = JSON) -> tuple[int, bytes]:
        """Send a request, and return the code and body of its answer."""
        content = None if body is None else json.dumps(body)
        headers = {"Authorization": f"Bearer {self._token}", "Accept": JSON}
        if content is not None:
            headers["Content-Type"] = content_type
        self._connection.request(method, target, content, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()


@dataclass(frozen=True)
class Server:
    """The apiserver, with the token of an administrator and that of a user who may do nothing."""

    host: str
    port: int
    token: Token
    stranger: Token

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"https://{self.host}:{self.port}"

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """A context that takes the certificate that the server has made for itself."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    @property
    def credentials(self) -> bytes:
        """Return the header line that makes a request the administrator's."""
        return b"Authorization: Bearer " + self.token.encode()

    @contextmanager
    def caller(self, timeout: float = 30) -> Iterator[Caller]:
        """Open a connection for calls without an event loop."""
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=self.tls)
        try:
            yield Caller(connection, self.token)
        finally:
            connection.close()

    @cached_property
    def minor(self) -> int:
        """The minor version, as /version tells it: 32 for 1.32."""
        with self.caller() as caller:
            _, body = caller.call("GET", "/version")
        digits = "".join(each for each in json.loads(body)["minor"] if each.isdigit())
        return int(digits)

    async def connect(self) -> Client:
        """Open a connection."""
        return await Client.connect(self.host, self.port, tls=self.tls)

    async def ask(self, raw: bytes) -> Answer:
        """Ask once, on a connection of its own."""
        async with await self.connect() as client:
            return await client.ask(raw)

    async def patch(self, target: str, change: dict[str, Any]) -> int:
        """Merge `change` into an object; return the object's new resourceVersion."""
        answer = await self.ask(write("PATCH", target, self.credentials, change))
        assert answer.status == 200, answer
        return int(json.loads(answer.body)["metadata"]["resourceVersion"])


def write(method: str, target: str, credentials: bytes, body: object = None) -> bytes:
    """Write a request that changes something."""
    content = b"" if body is None else json.dumps(body).encode()
    content_type = MERGE_PATCH if method == "PATCH" else JSON
    lines = [credentials, b"Content-Length: %d" % len(content), b"Content-Type: " + content_type.encode()]
    return request(target, *lines, method=method, body=content)
