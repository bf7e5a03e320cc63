"""Periods of a shop's local dates, and the earlier period that each is compared with.

Takes names and dates, returns pairs of dates. A shop's today is the date of its newest event, whatever the clock says.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, get_args

from serving.errors import ServingError

PeriodName = Literal["today", "7 days", "28 days", "90 days", "month", "all"]
Comparison = Literal["previous", "year", "none"]
PERIODS, COMPARISONS = get_args(PeriodName), get_args(Comparison)
MAX_DAYS = 3 * 366
_DAYS = {"7 days": 7, "28 days": 28, "90 days": 90}
_WEEK = 7
_YEAR = 52 * _WEEK  # so that weekdays are compared with the same weekdays


class InvalidPeriod(ServingError):
    """The dates are not a period; the message says why."""


@dataclass(frozen=True)
class Period:
    """All local dates from `first` to `last`, both included."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise InvalidPeriod(f"The period ends on {self.last}, before it starts on {self.first}: swap the dates.")
        if self.days > MAX_DAYS:
            raise InvalidPeriod(f"The period has {self.days} days: choose at most {MAX_DAYS}.")

    @property
    def days(self) -> int:
        """Number of dates."""
        return (self.last - self.first).days + 1

    def dates(self) -> list[date]:
        """Every date, in order."""
        return [self.first + timedelta(days=number) for number in range(self.days)]

    def weeks(self) -> list[date]:
        """The Monday of every week that overlaps the period."""
        monday = self.first - timedelta(days=self.first.weekday())
        return [monday + timedelta(days=number) for number in range(0, (self.last - monday).days + 1, _WEEK)]

    def shifted(self, days: int) -> "Period":
        """The same period, this many days earlier.

        Raises:
            InvalidPeriod: it would begin before the year 1.
        """
        try:
            return Period(self.first - timedelta(days=days), self.last - timedelta(days=days))
        except OverflowError:
            raise InvalidPeriod(
                f"No date is {days} days before {self.first}: choose a later period, or no comparison."
            ) from None


def named_period(name: str, today: date, first_date: date) -> Period:
    """The period with this name. `7 days` and the like end yesterday, as today is incomplete; the others include today.
    A shop whose first date is today has no complete date: all its periods end today.

    Raises:
        InvalidPeriod: the name is unknown.
    """
    if name == "month":
        return Period(today.replace(day=1), today)
    if name == "all":
        return Period(max(min(first_date, today), today - timedelta(days=MAX_DAYS - 1)), today)
    if name == "today":
        return Period(today, today)
    if name not in _DAYS:
        raise InvalidPeriod(f"{name} is not a period: use one of {', '.join(PERIODS)}, or two dates.")
    last = max(today - timedelta(days=1), min(first_date, today))
    return Period(last - timedelta(days=_DAYS[name] - 1), last)


def compared_period(period: Period, comparison: str) -> Period | None:
    """The earlier period to compare with, shifted by whole weeks, so that each date is compared with the same weekday.

    previous: the nearest one that does not overlap; year: 52 weeks earlier.

    Raises:
        InvalidPeriod: the name is unknown, or no date is so early.
    """
    if comparison == "none":
        return None
    if comparison == "year":
        return period.shifted(_YEAR)
    if comparison == "previous":
        return period.shifted(-(-period.days // _WEEK) * _WEEK)
    raise InvalidPeriod(f"{comparison} is not a comparison: use one of {', '.join(COMPARISONS)}.")
