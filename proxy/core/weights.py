"""What items weigh, learnt from every List that passes: how many of them make a page of the right size.

An apiserver assembles a page as a whole, so a page's bytes are what it costs. 500 pods are 2 MB; 500 Secrets can be
500 MB.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from proxy.core.negotiation import Form

Key = tuple[str, str]
"""Group and resource."""

MAX_RESOURCES = 1000
FIRST_PAGE_ITEMS = 5
"""Items asked for while nothing is known: 50 Secrets of 1.4 MB x 10 Lists would be 700 MB."""

GROWTH = 10
"""A page asks for at most this many times the items of the one before: what five items weigh is a weak promise."""

MEMORY_ITEMS = 1000
"""Of how many items the mean is: older ones fade, as the next namespace may hold larger ones."""

HEAVY_ITEMS = 10_000
"""After how many items of any weight the heaviest page is taken for half as heavy."""

DISTRUST_SECONDS = 600.0
"""How long a resource whose pages did not fit together is not paged."""


def usual_bytes(page_bytes: int) -> int:
    """Return what most pages do not exceed: items of one List differ, so some weigh more than what was aimed at."""
    return page_bytes * 5 // 4


@dataclass(slots=True)
class Weight:
    """Of one resource: items and their bytes by the form in which they came, and what else was noticed.

    `heaviest` is what an item of the heaviest page weighed: light Lists should not hide what heavy ones will be.
    """

    means: dict[Form, tuple[float, float]] = field(default_factory=dict)
    heaviest: float = 0.0
    list_bytes: int = 0
    is_foreign: bool = False
    distrusted_until: float = 0.0

    @property
    def item_bytes(self) -> float:
        """Return what an item weighs, in its heaviest form: a Table of Secrets is light, but not for the server."""
        return max((size / count for count, size in self.means.values()), default=0.0)


class Weights:
    """A bounded table; the resource that was learnt of last is kept longest. `page_bytes` and the like are settings."""

    def __init__(self, page_bytes: int, page_items: int, page_limit_bytes: int) -> None:
        self._page_bytes = page_bytes
        self._page_items = page_items
        self._page_limit_bytes = page_limit_bytes
        self._weights: OrderedDict[Key, Weight] = OrderedDict()

    def learn_items(self, key: Key, form: Form, count: int, size: int) -> None:
        """Learn from `count` items of `size` bytes."""
        if not count:
            return
        weight = self._of(key)
        known_count, known_size = weight.means.get(form, (0.0, 0.0))
        fading = MEMORY_ITEMS / max(MEMORY_ITEMS, known_count + count)
        weight.means[form] = (known_count + count) * fading, (known_size + size) * fading
        page = size / count if count >= FIRST_PAGE_ITEMS else 0.0  # a single heavy one is no reason
        weight.heaviest = max(page, weight.heaviest * 0.5 ** (count / HEAVY_ITEMS))

    def learn_list(self, key: Key, size: int) -> None:
        """Learn what all items of a resource weighed together, in one List of everything."""
        self._of(key).list_bytes = size

    def page_items(self, key: Key, form: Form, before: int = 0, item_bytes: float = 0.0) -> int:
        """Return how many items of a form to ask for.

        `before` is how many the page before has asked for, 0 for page 1; `item_bytes` is what its items seem to weigh,
        where they have not been learnt yet.
        """
        weight = self._get(key)
        size = max(weight.item_bytes, weight.heaviest if not before else 0.0, item_bytes)
        wanted = max(1, int(self._page_bytes / size)) if size else self._page_items
        # What rows weigh says little of the objects behind them.
        most = GROWTH * before or (wanted if form in weight.means else FIRST_PAGE_ITEMS)
        return min(wanted, most, self._page_items)

    def item_bytes(self, key: Key) -> float:
        """Return what an item of a resource seems to weigh where it is heaviest, 0 while nothing is known."""
        weight = self._get(key)
        return max(weight.item_bytes, weight.heaviest)

    def lowered(self, key: Key, limit: int) -> int:
        """Return a client's own `limit`, lowered where its page would exceed ``page_limit_bytes``."""
        size = self._get(key).item_bytes
        return min(limit, max(1, int(self._page_limit_bytes / size))) if size else limit

    def is_heavy(self, key: Key) -> bool:
        """Whether the List of a resource is known to exceed ``page_limit_bytes``."""
        return self._get(key).list_bytes > self._page_limit_bytes

    def learn_foreign(self, key: Key, *, is_foreign: bool) -> None:
        """Learn whether a resource is not kube-apiserver's own, whatever its version says."""
        self._of(key).is_foreign = is_foreign

    def is_foreign(self, key: Key) -> bool:
        """Whether a resource is known to come from an aggregated API."""
        return self._get(key).is_foreign

    def distrust(self, key: Key, now: float) -> None:
        """Note that the pages of a resource did not fit together. `now` is in seconds, by any steady clock."""
        self._of(key).distrusted_until = now + DISTRUST_SECONDS

    def is_distrusted(self, key: Key, now: float) -> bool:
        """Whether a resource should not be paged at the moment."""
        return now < self._get(key).distrusted_until

    def _get(self, key: Key) -> Weight:
        """Return what is known, without making room for it: who asks may invent resources."""
        return self._weights.get(key) or Weight()

    def _of(self, key: Key) -> Weight:
        """Return the entry of a resource that exists, to be changed."""
        weight = self._weights.setdefault(key, Weight())
        self._weights.move_to_end(key)
        if len(self._weights) > MAX_RESOURCES:
            self._weights.popitem(last=False)
        return weight
