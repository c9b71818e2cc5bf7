"""Which addresses are well: asked every second where there are several, so that one which is not is soon avoided.

Asked for is /readyz, as load balancers in front of apiservers do: it fails while one is starting, shutting down or cut
off from etcd. Any answer below 500 will do: 401 and 403 come from a server that tells nothing to strangers, 404 from
one that has no such path.
"""

import asyncio
from collections.abc import Callable, Iterable

from proxy.core.errors import RestreamError
from proxy.core.headers import Lines
from proxy.upstream.place import Place, Request

READYZ = b"/readyz"

CHECK_SECONDS, PATIENCE_SECONDS = 1.0, 0.8
"""Between two beginnings, and for one: so a server that vanishes without a word is avoided within 1.8 s."""


class Checks:
    """Checks places until it is closed; one alone is not, as there would be nowhere else to go.

    `authorize` returns the value of an Authorization line that is at hand, or nothing.
    """

    def __init__(self, places: Iterable[Place], authorize: Callable[[], bytes]) -> None:
        """Begin, in the running event loop."""
        self._authorize = authorize
        loop, several = asyncio.get_running_loop(), list(places)
        self._tasks = [loop.create_task(self._watch(place)) for place in several if len(several) > 1]

    async def close(self) -> None:
        """Stop."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _watch(self, place: Place) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            place.note_check(is_well=await self._is_well(place))
            due = max(due + CHECK_SECONDS, loop.time())
            await asyncio.sleep(due - loop.time())

    async def _is_well(self, place: Place) -> bool:
        lines: Lines = [(b"Accept", b"*/*")]
        if authorization := self._authorize():
            lines.append((b"Authorization", authorization))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                response = await place.ask(Request("GET", READYZ, lines))
                try:
                    while await response.body.read():
                        pass
                finally:
                    place.release(response)
        except (RestreamError, TimeoutError):
            return False
        return response.status < 500
