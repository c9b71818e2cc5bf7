"""A container's log: a line now and then since ever, of which the last are kept, as from a file that is rotated."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from proxy.backend.listoptions import boolean, integer
from proxy.backend.reply import Reply
from proxy.backend.status import ApiError, Details, bad_request
from proxy.backend.streams.pods import Pod

KEPT_LINES = 100


@dataclass(frozen=True, slots=True)
class Log:
    """The log of one container; line N is written at N intervals after 1970."""

    pod: str
    interval: float

    def line(self, number: int, *, timestamps: bool = False) -> bytes:
        """Return one line."""
        stamp = datetime.fromtimestamp(number * self.interval, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ ")
        return f"{stamp if timestamps else ''}{self.pod} tick {number}\n".encode()

    def last(self) -> int:
        """Return the number of the line that was written last."""
        return int(time.time() / self.interval)

    def first_since(self, moment: float) -> int:
        """Return the number of the first line that was not written before."""
        return math.ceil(moment / self.interval)

    async def following(self, number: int) -> AsyncIterator[int]:
        """Yield the numbers behind one, each when its line is written."""
        while True:
            number += 1
            await asyncio.sleep(number * self.interval - time.time())
            yield number


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What a request wants of a log."""

    follow: bool
    timestamps: bool
    tail_lines: int | None
    since: float


def parse(reply: Reply, pod: Pod) -> LogOptions:
    """Parse and validate the query."""
    query = reply.query
    tail_lines = integer(query, "tailLines") if "tailLines" in query else None
    seconds = integer(query, "sinceSeconds") if "sinceSeconds" in query else None
    if tail_lines is not None and tail_lines < 0:
        raise invalid(pod, "tailLines", tail_lines, "must be greater than or equal to 0")
    if seconds is not None and seconds < 1:
        raise invalid(pod, "sinceSeconds", seconds, "must be greater than 0")
    since = time.time() - seconds if seconds else 0.0
    if text := query.get("sinceTime"):
        try:
            since = max(since, datetime.fromisoformat(text).timestamp())
        except ValueError:
            raise bad_request(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse') from None
    return LogOptions(boolean(query, "follow"), boolean(query, "timestamps"), tail_lines, since)


def invalid(pod: Pod, field: str, value: int, text: str) -> ApiError:
    """422 for an option that makes no sense."""
    message = f'PodLogOptions "{pod.metadata.name}" is invalid: {field}: Invalid value: {value}: {text}'
    return ApiError(422, "Invalid", message, Details(pod.metadata.name, kind="PodLogOptions"))


async def serve(reply: Reply, pod: Pod, interval: float) -> web.StreamResponse:
    """Send a log, each line as it is written."""
    container = pod.container(reply.query.get("container", ""))
    name = pod.metadata.name
    if boolean(reply.query, "previous"):
        raise bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
    if reason := pod.waiting(container):
        raise bad_request(f'container "{container}" in pod "{name}" is waiting to start: {reason}')
    options = parse(reply, pod)
    log = Log(name, interval)
    last = log.last()
    kept = KEPT_LINES if options.tail_lines is None else min(options.tail_lines, KEPT_LINES)
    first = max(last - kept + 1, log.first_since(options.since))
    response = reply.response(200, "text/plain")
    response.enable_chunked_encoding()
    await response.prepare(reply.request)
    try:
        if first <= last:
            numbers = range(first, last + 1)
            await response.write(b"".join(log.line(number, timestamps=options.timestamps) for number in numbers))
        if options.follow:
            async for number in log.following(last):
                await response.write(log.line(number, timestamps=options.timestamps))
        await response.write_eof()
    except ConnectionError:
        pass  # the client has seen enough
    return response
