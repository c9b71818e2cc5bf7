"""Memory for Lists whose continue token is about to die, shared by all of them."""


class Reserve:
    """So many bytes, handed out in shares: what is not to be had is refused, not waited for."""

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, share: int) -> bool:
        """Take a share; False where that much is not left."""
        if share > self._left:
            return False
        self._left -= share
        return True

    def give_back(self, share: int) -> None:
        """Return a share."""
        self._left += share
