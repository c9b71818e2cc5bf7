"""What the splitter tells: the bytes of a List, cut where items begin and end.

The events' bytes, concatenated in order (`lead` before `data`), are the body as it came in.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Skeleton:
    """Bytes outside the items: the head up to and including ``[``, or the tail from ``]`` on.

    `opens` marks the piece whose last byte is the ``[`` of the items.
    """

    data: bytes
    opens: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """One or more complete items.

    `lead` is the separator before the first of them (``,`` and white space; empty before the List's first item),
    `data` the items with the separators between them, `sizes` the length of each item in bytes.
    """

    lead: bytes
    data: memoryview
    sizes: list[int]


Event = Skeleton | Items
