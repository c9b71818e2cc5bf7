"""What lasts inside of a pod from one command to the next."""

from __future__ import annotations

from proxy.backend.streams.console import Console
from proxy.backend.streams.files import Files
from proxy.backend.streams.pods import Pod


class Inside:
    """The inside of one pod."""

    def __init__(self) -> None:
        self.files = Files()
        self.console = Console()


class Insides:
    """The insides of pods that somebody has been in."""

    def __init__(self) -> None:
        self.by_uid: dict[str, Inside] = {}

    def of(self, pod: Pod) -> Inside:
        """Return a pod's inside; another pod of the same name has one of its own."""
        return self.by_uid.setdefault(pod.metadata.uid, Inside())
