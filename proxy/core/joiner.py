"""Events back to bytes: what the splitter cut is put together again, byte for byte."""

from collections.abc import Iterable

from proxy.core.events import Event, Items


def join(events: Iterable[Event]) -> list[bytes | memoryview]:
    """Return the pieces to write, in order; nothing is copied."""
    pieces: list[bytes | memoryview] = []
    for event in events:
        if isinstance(event, Items):
            if event.lead:
                pieces.append(event.lead)
            pieces.append(event.data)
        else:
            pieces.append(event.data)
    return pieces
