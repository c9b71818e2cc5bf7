"""All fuzzing, for a while: ``make fuzz ARGS="--seconds 600 --seed 7 --only pages"``.

Ends with exit code 1 and the smallest example where something is found.
"""

import argparse
import sys
import traceback
from functools import partial
from time import monotonic

from hypothesis import HealthCheck, given, seed, settings

from tests.fuzz import scanner
from tests.fuzz.targets import TABLE, Target

SCANNER = "scanner"
BATCH = 200
"""Examples between two looks at the clock."""


def search(target: Target, first_seed: int, seconds: float = 0.0, examples: int = BATCH) -> int:
    """Try a target for a while, one batch of `examples` at least; return how many. Raises what is found."""
    end, number = monotonic() + seconds, first_seed
    rules = settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=False
    )
    while True:
        seed(number)(rules(given(**target.drawn)(target.check)))()
        number += 1
        if monotonic() >= end:
            return examples * (number - first_seed)


def main() -> int:
    """Run from the command line; the targets share the time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", choices=[SCANNER, *TABLE], help="may be given several times")
    arguments = parser.parse_args()
    names = arguments.only or [SCANNER, *TABLE]
    share = arguments.seconds / len(names)
    found = 0
    for name in names:
        search_it = scanner.fuzz if name == SCANNER else partial(_search, name)
        problem = search_it(share, arguments.seed)
        if problem:
            found += 1
            sys.stderr.write(f"{name}: {problem}\n")
    return int(bool(found))


def _search(name: str, seconds: float, first_seed: int) -> str:
    try:
        count = search(TABLE[name], first_seed, seconds)
    except Exception:
        return traceback.format_exc()
    sys.stdout.write(f"{name}: {count:,} examples from seed {first_seed} on: nothing found\n")
    sys.stdout.flush()
    return ""


if __name__ == "__main__":
    sys.exit(main())
