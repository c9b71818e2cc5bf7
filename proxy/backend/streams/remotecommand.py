"""exec and attach: what a request asks for, and the work that is done with its streams."""

from __future__ import annotations

from aiohttp import web

from proxy.backend.listoptions import boolean
from proxy.backend.reply import Reply
from proxy.backend.status import PlainError
from proxy.backend.streams import channels, shell
from proxy.backend.streams.channels import Channels, Options
from proxy.backend.streams.commands import Process
from proxy.backend.streams.outcomes import CommandError, Outcome, exited, failed
from proxy.backend.streams.pods import Inside, Pod
from proxy.backend.streams.terminals import Keyboard, screen


def parse(reply: Reply) -> Options:
    """Return which streams a request asks for; with a terminal there is no standard error."""
    tty = boolean(reply.query, "tty")
    options = Options(
        boolean(reply.query, "stdin"), boolean(reply.query, "stdout"), boolean(reply.query, "stderr") and not tty, tty
    )
    if not (options.stdin or options.stdout or options.stderr):
        raise PlainError(400, "you must specify at least 1 of stdin, stdout, stderr\n")
    return options


async def execute(reply: Reply, pod: Pod, inside: Inside) -> web.StreamResponse:
    """Run a command."""
    container = pod.container(reply.query.get("container", ""))
    pod.check_running(container)
    options = parse(reply)
    arguments = tuple(reply.request.rel_url.query.getall("command", []))

    async def work(streams: Channels) -> Outcome:
        stdout = screen(streams.stdout) if options.tty else streams.stdout
        process = Process(
            arguments,
            Keyboard(streams.stdin) if options.tty else streams.stdin,
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
