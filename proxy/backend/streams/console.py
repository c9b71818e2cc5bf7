"""The console of a container: whoever is attached sees what any of them types, and what the container prints."""

from __future__ import annotations

from proxy.backend.streams.pipes import Sink


class Console:
    """Those who are attached."""

    def __init__(self) -> None:
        self.screens: set[Sink] = set()

    async def show(self, data: bytes) -> None:
        """Print on every screen."""
        for screen in tuple(self.screens):
            await screen(data)
