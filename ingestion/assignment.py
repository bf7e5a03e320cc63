"""Assigns units to buckets, and buckets to variations; SQL and the storefront snippet compute the same buckets.

Reads seeds, unit ids and weights; returns integers, so that every language compares only integers.
"""

from collections.abc import Sequence
from decimal import Decimal
from itertools import accumulate

BUCKETS = 10_000
_FNV_OFFSET, _FNV_PRIME = 0x811C9DC5, 0x01000193


def assigned_bucket(seed: str, unit: str) -> int:
    """The bucket (0 to 9999) of a unit under a seed: version 2 of GrowthBook's hash, in integers."""
    return _fnv1a32(str(_fnv1a32(seed + unit))) % BUCKETS


def bucket_ranges(coverage: Decimal, weights: Sequence[Decimal]) -> list[tuple[int, int]]:
    """The half-open range of buckets of each variation.

    A variation starts where it would at full coverage, so that raising the coverage moves no unit.
    """
    starts = accumulate(weights, initial=Decimal(0))
    return [
        (bucket_at(start), bucket_at(start + coverage * weight)) for start, weight in zip(starts, weights, strict=False)
    ]


def bucket_at(share: Decimal) -> int:
    """The first bucket after this share of all buckets."""
    return int((share * BUCKETS).to_integral_value())


def _fnv1a32(text: str) -> int:
    number = _FNV_OFFSET
    for byte in text.encode():
        number = (number ^ byte) * _FNV_PRIME & 0xFFFFFFFF
    return number
