"""The command line: ``kube-restream serve | backend | demo | bench``."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

import uvloop

from proxy import __version__, app, process
from proxy.loading import load
from proxy.settings import Settings, SettingsError, Upstreams, setting_kinds
from proxy.workers import supervisor
from proxy.workers.child import StartError

HELP = {
    "upstream": "the apiserver: http://host:port or https://host:port; once for each address",
    "listen": "where clients connect (default 127.0.0.1:8001; port 0: any)",
    "admin_listen": "where /metrics, /healthz, /readyz are served (default 127.0.0.1:9001)",
    "workers": "how many processes serve: a number, or auto for one a CPU (default 1)",
    "mode": "how Lists travel: auto, streamed, paged, buffered or raw (default auto)",
    "kubeconfig": "act towards the upstream as this kubeconfig's user, as kubectl proxy does",
    "context": "the context of the kubeconfig, or of $KUBECONFIG",
    "in_cluster": "take address, CA and (with proxy-identity) token from the Pod's service account",
    "routes": "modes of some resources' Lists, as YAML: [{group: apps, resource: '*', mode: paged}]",
    "identity": "pass-through (the client's credential, default), proxy-identity or front-proxy",
}
TOOLS = {
    "backend": "proxy.backend.command",
    "demo": "proxy.bench.demo",
    "bench": "proxy.bench.command",
}
SPELLING = {
    "tls.cert": "--tls-cert",
    "tls.key": "--tls-key",
    "filters.accept_hosts": "--accept-hosts",
    "filters.accept_paths": "--accept-paths",
    "filters.reject_paths": "--reject-paths",
    "filters.reject_methods": "--reject-methods",
    "upstream_tls.ca": "--upstream-ca",
    "upstream_tls.insecure": "--upstream-insecure",
    "upstream_tls.server_name": "--upstream-server-name",
    "upstream_tls.cert": "--upstream-cert",
    "upstream_tls.key": "--upstream-key",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 2 for bad settings, 1 where a worker does not come up."""
    parser = argparse.ArgumentParser(prog="kube-restream", description="Re-streams Kubernetes Lists with flat memory.")
    parser.add_argument("--version", action="version", version=f"kube-restream {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_serve(commands.add_parser("serve", help="run the proxy"))
    for name, text in (
        ("backend", "run the embedded Kubernetes-style apiserver"),
        ("demo", "compare the buffered and the streamed path, here and now"),
        ("bench", "measure against kubectl proxy and others"),
    ):
        commands.add_parser(name, help=text, add_help=False)
    arguments, rest = parser.parse_known_args(argv)
    if arguments.command == "serve" and rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        return _serve(arguments) if arguments.command == "serve" else _run_tool(arguments.command, rest)
    except KeyboardInterrupt:  # before a command has its own way with Ctrl-C
        return 130


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE", help="YAML settings; config/proxy.yaml documents them all")
    for key, kind in setting_kinds().items():
        flag = SPELLING.get(key, "--" + key.replace("_", "-").replace(".", "-"))
        if kind is bool:
            parser.add_argument(flag, dest=key, action=argparse.BooleanOptionalAction, default=None, help=HELP.get(key))
        else:
            action = "append" if kind == Upstreams | None else "store"
            parser.add_argument(flag, dest=key, metavar="VALUE", action=action, help=HELP.get(key))


def _serve(arguments: argparse.Namespace) -> int:
    try:
        return _run_proxy(lambda: load(arguments.config, os.environ, vars(arguments)))
    except (SettingsError, StartError) as error:
        print(f"kube-restream: {error}", file=sys.stderr)
        return 2 if isinstance(error, SettingsError) else 1


def _run_proxy(read: Callable[[], Settings]) -> int:
    settings = read()
    count = process.usable_cpus() if settings.workers == "auto" else settings.workers
    if count > 1:
        return uvloop.run(supervisor.serve(settings, count, read))
    return uvloop.run(app.serve(settings, read))


def _run_tool(name: str, argv: Sequence[str]) -> int:
    """Run a command whose module is imported only now: the backend and the bench bring weight of their own."""
    command = import_module(TOOLS[name])
    parser = argparse.ArgumentParser(prog=f"kube-restream {name}", description=command.__doc__)
    command.add_arguments(parser)
    return int(command.run(parser.parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main())
