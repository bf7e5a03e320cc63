"""How much one sender may ask for: a token bucket per ingest key and address, in bounded memory."""

import time
from collections import OrderedDict

MAX_BUCKETS = 50_000  # about 10 MB; the senders that have been quiet longest are forgotten first


class RateLimit:
    """Allows `per_second` requests a second to each sender, and `burst` at once."""

    def __init__(self, per_second: float, burst: float, max_buckets: int = MAX_BUCKETS) -> None:
        """per_second: 0 allows everything."""
        self._per_second = per_second
        self._burst = burst
        self._max_buckets = max_buckets
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()  # tokens, since when

    def allows(self, key: str, address: str) -> bool:
        """Whether this sender may send now; asking counts as sending."""
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
