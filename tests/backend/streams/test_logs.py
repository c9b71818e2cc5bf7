"""Logs: what is kept, what is asked for, and lines that come while they are written."""

from __future__ import annotations

import asyncio
import re

import pytest

from proxy.backend.streams.logs import KEPT_LINES, Log
from proxy.backend.verbs import Behaviour
from tests.backend.cluster import Client, Options

from .peers import POD

INTERVAL = 0.02
LINE = re.compile(rb"web-00020 tick (\d+)\n")


@pytest.fixture
def options() -> Options:
    """Containers that write fifty lines a second."""
    return Options(behaviour=Behaviour(log_interval=INTERVAL))


def numbers(body: bytes) -> list[int]:
    """Return the numbers of whole lines, and check that there is nothing else."""
    assert not LINE.sub(b"", body)
    return [int(number) for number in LINE.findall(body)]


async def test_a_log_has_the_lines_that_are_kept(client: Client) -> None:
    """Without options it is everything, as text, in order."""
    async with client.get(f"{POD}/log") as response:
        assert (response.status, response.headers["Content-Type"]) == (200, "text/plain")
        found = numbers(await response.read())
    assert found == list(range(found[0], found[0] + KEPT_LINES))


@pytest.mark.parametrize(
    ("query", "least", "most"),
    [
        ("tailLines=3", 3, 3),
        ("tailLines=0", 0, 0),
        ("tailLines=5000", KEPT_LINES, KEPT_LINES),
        ("sinceSeconds=1&container=web", 49, KEPT_LINES - 1),
        ("sinceTime=2000-01-01T00:00:00Z&follow=0", KEPT_LINES, KEPT_LINES),
    ],
)
async def test_options_select_lines(client: Client, query: str, least: int, most: int) -> None:
    """The end of the log by lines or by time."""
    async with client.get(f"{POD}/log?{query}") as response:
        assert least <= len(numbers(await response.read())) <= most


async def test_timestamps_stand_in_front(client: Client) -> None:
    """In the form that RFC 3339 has for them."""
    async with client.get(f"{POD}/log?timestamps=true&tailLines=1") as response:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z web-00020 tick \d+\n", await response.text())


async def test_following_sends_each_line_when_it_is_written(client: Client) -> None:
    """One chunk a line, without a gap behind what was there, until the client leaves."""
    tasks = asyncio.all_tasks()
    async with client.get(f"{POD}/log?follow=true&tailLines=2") as response:
        found: list[int] = []
        for _ in range(7):
            found += numbers(await response.content.readline())
        tasks = asyncio.all_tasks() - tasks
        response.close()
    assert found == list(range(found[0], found[0] + 7))
    _, left = await asyncio.wait(tasks, timeout=20)
    assert not left


@pytest.mark.parametrize(
    ("where", "code", "text"),
    [
        (f"{POD}/log?tailLines=-1", 422, "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        (f"{POD}/log?sinceSeconds=0", 422, "sinceSeconds: Invalid value: 0: must be greater than 0"),
        (f"{POD}/log?sinceTime=yesterday", 400, 'parsing time "yesterday"'),
        (f"{POD}/log?previous=true", 400, 'previous terminated container "web" in pod "web-00020" not found'),
        (f"{POD}/log?container=nope", 400, "container nope is not valid for pod web-00020"),
        ("/api/v1/namespaces/default/pods/nope/log", 404, 'pods "nope" not found'),
        ("/api/v1/namespaces/a/pods/web-00015/log", 400, 'container "web" in pod "web-00015" is waiting to start'),
    ],
)
async def test_what_there_is_no_log_of(client: Client, where: str, code: int, text: str) -> None:
    """A Status with the words of a real server."""
    async with client.get(where) as response:
        assert response.status == code
        assert text in (await response.json())["message"]


async def test_logs_are_only_read(client: Client) -> None:
    """Nothing but GET."""
    async with client.post(f"{POD}/log") as response:
        assert response.status == 405


def test_lines_are_where_their_time_is() -> None:
    """The first line since a moment isn't older than it."""
    log = Log("x", 2.0)
    assert [log.first_since(moment) for moment in (4.0, 4.5, 6.0)] == [2, 3, 3]
    assert log.line(3, timestamps=True) == b"1970-01-01T00:00:06.000000Z x tick 3\n"
