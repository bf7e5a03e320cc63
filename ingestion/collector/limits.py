"""A rate limit per sender and a memory budget shared by all, both in bounded memory.

Decides for each request, by ingest key and network or by size, whether it may proceed.
"""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from ingestion.errors import IngestionError

MAX_BUCKETS = 50_000  # about 10 MB; least recently seen senders are evicted first


def network_of(address: str) -> str:
    """The network that one sender controls: the /64 of an IPv6 address, else the address itself.

    An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) counts as the IPv4 address.
    """
    return _network_of(address) if ":" in address else address


@lru_cache(8192)
def _network_of(address: str) -> str:
    try:
        found = ipaddress.IPv6Address(address.partition("%")[0].strip("[]"))
    except ValueError:
        return address
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))


class RateLimit:
    """Allows each sender `per_second` requests per second, and bursts of `burst`."""

    def __init__(self, per_second: float, burst: float, max_buckets: int = MAX_BUCKETS) -> None:
        """per_second: 0 allows everything."""
        self._per_second = per_second
        self._burst = burst
        self._max_buckets = max_buckets
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()  # tokens, since when

    def allows(self, key: str, address: str) -> bool:
        """Whether this sender may send now; each call counts as a request. address: from `network_of`."""
        if not self._per_second:
            return True
        now = time.monotonic()
        sender = (key, address)
        tokens, since = self._buckets.pop(sender, (self._burst, now))
        tokens = min(self._burst, tokens + (now - since) * self._per_second)
        allowed = tokens >= 1
        self._buckets[sender] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > self._max_buckets:
            self._buckets.popitem(last=False)
        return allowed


class BudgetSpent(IngestionError):
    """Other requests hold the whole budget; try again soon."""


class Budget:
    """A budget of bytes shared by many requests."""

    def __init__(self, size: int) -> None:
        """size: bytes that all requests may hold together."""
        self.free = size

    @contextmanager
    def share(self) -> Iterator["Share"]:
        """The share of one request; released at the end."""
        share = Share(self)
        try:
            yield share
        finally:
            self.free += share.held


class Share:
    """The part of a budget held by one request."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.held = 0

    def take(self, size: int) -> None:
        """Hold `size` more bytes.

        Raises:
            BudgetSpent: the budget has fewer bytes left.
        """
        if size > self._budget.free:
            raise BudgetSpent("too many large bodies at once")
        self._budget.free -= size
        self.held += size
