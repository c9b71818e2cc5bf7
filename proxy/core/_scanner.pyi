from typing import final

MAX_DEPTH: int

@final
class Scanner:
    def __new__(cls, max_item_bytes: int, /) -> Scanner: ...
    def find(self, window: bytes | bytearray, at: int, /) -> tuple[int, int, int, list[int]]: ...
