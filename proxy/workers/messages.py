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


class Prepare(msgspec.Struct, frozen=True, tag=True):
    """Read what other settings name, without using them: `Settled`."""

    number: int
    settings: Settings


class Use(msgspec.Struct, frozen=True, tag=True):
    """Let what begins from now on have the settings that were prepared: `Settled`."""

    number: int


class Leave(msgspec.Struct, frozen=True, tag=True):
    """Let each answer end its connection; there will be new ones until `Drain`."""


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


class Settled(msgspec.Struct, frozen=True, tag=True):
    """The order with that number has been carried out; or what was wrong with the settings."""

    number: int
    problem: str


Order = Begin | Adopt | Count | Probe | Prepare | Use | Leave | Drain
Report = Ready | Refused | Load | Counted | Probed | Settled
