"""The soak as a program: ``make soak ARGS="--minutes 30"``; ends with exit code 1 where something was wrong."""

import argparse
import asyncio
import sys
from importlib.util import find_spec
from pathlib import Path

from tests.soak.soak import Options, Soak


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--minutes", type=float, default=2.0)
    add("--workers", type=int, default=1)
    add("--seed", type=int, default=0, help="of the data, the clients and the faults; time makes the rest")
    add(
        "--restart-every",
        type=float,
        default=25.0,
        metavar="SECONDS",
        help="how often the upstream goes and comes back",
    )
    add("--reload-every", type=float, default=15.0, metavar="SECONDS", help="how often the proxy gets other settings")
    add("--out", type=Path, default=Path("soak-out"), metavar="DIRECTORY")
    arguments = parser.parse_args()
    options = Options(
        arguments.minutes * 60,
        arguments.restart_every,
        arguments.reload_every,
        workers=arguments.workers,
        seed=arguments.seed,
    )
    report = asyncio.run(Soak(options, say).run())
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "soak.json").write_bytes(report.as_json())
    say("\n".join(report.lines()))
    if find_spec("matplotlib"):
        from tests.soak import picture  # noqa: PLC0415 (matplotlib is optional)

        picture.draw(arguments.out / "soak.png", report.title, report.samples)
    return int(bool(report.problems))


if __name__ == "__main__":
    sys.exit(main())
