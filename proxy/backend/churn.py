"""Background writes: a working set of pods is updated, deleted and made again, N times a second."""

from __future__ import annotations

import asyncio
import random
import time

from proxy.backend.objects import Generated
from proxy.backend.resources import PODS
from proxy.backend.store import Store

# Writes come in small bursts: a timer for each would cost more than the writes.
TICK_SECONDS = 0.05
# A bounded working set keeps the overlay small, however long the churn lasts.
WORKING_SET = 1000
DELETE_SHARE = 0.1


class Churn:
    """The writes, deterministic from a seed."""

    def __init__(self, store: Store, rate: int, seed: int) -> None:
        self.store = store
        self.rate = rate
        self.source = random.Random(f"{seed}-churn")
        count = store.collections[PODS].population.count
        self.members = range(0, count, max(count // WORKING_SET, 1))

    def write(self, now: float) -> None:
        """Change one pod of the working set."""
        collection = self.store.collections[PODS]
        index = self.source.choice(self.members)
        key = collection.population.key(index)
        gone = collection.get(key) is None
        delete = not gone and self.source.random() < DELETE_SHARE
        make = (lambda _: None) if delete else (lambda version: Generated(collection.population, index, version))
        self.store.put(PODS, key, make, now)

    async def run(self) -> None:
        """Write at the given rate until cancelled."""
        if not self.rate or not self.members:
            return
        started, written = time.monotonic(), 0
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = time.monotonic()
            due = int((now - started) * self.rate) - written
            # After a stall the backlog is not made up for at once.
            for _ in range(min(due, self.rate)):
                self.write(now)
            written += due
