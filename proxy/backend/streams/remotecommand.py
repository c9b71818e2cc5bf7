"""exec and attach: what a request asks for, and the work that is done with its streams."""

from __future__ import annotations

from aiohttp import web

from proxy.backend.listoptions import boolean
from proxy.backend.reply import Reply
from proxy.backend.status import PlainError
from proxy.backend.streams import channels, shell
from proxy.backend.streams.channels import Channels, Options
from proxy.backend.streams.commands import Process
from proxy.backend.streams.insides import Inside
from proxy.backend.streams.logs import Log
from proxy.backend.streams.outcomes import CommandError, Outcome, exited, failed
from proxy.backend.streams.pipes import Sink, Source
from proxy.backend.streams.pods import Pod
from proxy.backend.streams.terminals import Keyboard, screen


def parse(reply: Reply, pod: Pod) -> Options:
    """Return which streams a request asks for of a container that runs; with a terminal there is no standard error."""
    pod.check_running(pod.container(reply.query.get("container", "")))
    tty = boolean(reply.query, "tty")
    options = Options(
        boolean(reply.query, "stdin"), boolean(reply.query, "stdout"), boolean(reply.query, "stderr") and not tty, tty
    )
    if not (options.stdin or options.stdout or options.stderr):
        raise PlainError(400, "you must specify at least 1 of stdin, stdout, stderr\n")
    return options


async def execute(reply: Reply, pod: Pod, inside: Inside) -> web.StreamResponse:
    """Run a command."""
    options = parse(reply, pod)
    arguments = tuple(reply.request.rel_url.query.getall("command", []))

    async def work(streams: Channels) -> Outcome:
        stdin, stdout = terminal_ends(streams, options)
        process = Process(
            arguments,
            stdin,
            stdout,
            stdout if options.tty else streams.stderr,
            streams.terminal,
            inside.files,
            pod.metadata.name,
        )
        try:
            return exited(await shell.run(process))
        except CommandError as error:
            return failed(error)

    return await channels.serve(reply.request, options, work)


async def attach(reply: Reply, pod: Pod, inside: Inside, log: Log) -> web.StreamResponse:
    """Join the console."""
    options = parse(reply, pod)

    async def work(streams: Channels) -> Outcome:
        stdin, stdout = terminal_ends(streams, options)
        return await inside.console.attach(stdin, stdout, log)

    return await channels.serve(reply.request, options, work)


def terminal_ends(streams: Channels, options: Options) -> tuple[Source, Sink]:
    """Return standard input and output, by way of a terminal where there is one."""
    if options.tty:
        return Keyboard(streams.stdin), screen(streams.stdout)
    return streams.stdin, streams.stdout
