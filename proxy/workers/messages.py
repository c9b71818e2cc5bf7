"""What a supervisor and its workers tell each other."""

import msgspec

from proxy.settings import Settings
from proxy.workers.merging import Family


class Begin(msgspec.Struct, frozen=True, tag=True):
    """Get ready, with these settings."""

    settings: Settings


class Adopt(msgspec.Struct, frozen=True, tag=True):
    """Serve the connection that comes along."""


class Count(msgspec.Struct, frozen=True, tag=True):
    """Tell all samples: `Counted`."""


class Probe(msgspec.Struct, frozen=True, tag=True):
    """Tell whether requests can be answered: `Probed`."""


class Drain(msgspec.Struct, frozen=True, tag=True):
    """Finish what is under way, then end."""


class Ready(msgspec.Struct, frozen=True, tag=True):
    """Connections may come."""


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The settings do not work here; the worker ends."""

    problem: str


class Load(msgspec.Struct, frozen=True, tag=True):
    """Of the `adopted` connections so far so many are `open`: told whenever one has ended."""

    adopted: int
    open: int


class Counted(msgspec.Struct, frozen=True, tag=True):
    """All samples of this moment: the answer to `Count`, and a worker's last word."""

    families: list[Family]


class Probed(msgspec.Struct, frozen=True, tag=True):
    """What keeps requests from being answered, nothing if all is well."""

    problem: str


Order = Begin | Adopt | Count | Probe | Drain
Report = Ready | Refused | Load | Counted | Probed
