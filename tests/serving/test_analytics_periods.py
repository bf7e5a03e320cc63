from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.analytics.periods import MAX_DAYS, PERIODS, InvalidPeriod, Period, compared_period, named_period

TODAY, FIRST = date(2026, 11, 29), date(2026, 1, 5)
periods = st.builds(
    lambda first, days: Period(first, date.fromordinal(first.toordinal() + days)),
    st.dates(date(2020, 1, 1), date(2030, 1, 1)),
    st.integers(0, MAX_DAYS - 1),
)


@given(periods, st.sampled_from(["previous", "year"]))
def test_comparison_keeps_weekdays_and_length_and_does_not_overlap(period, comparison):
    earlier = compared_period(period, comparison)
    assert earlier.days == period.days
    assert [day.weekday() for day in earlier.dates()[:7]] == [day.weekday() for day in period.dates()[:7]]
    if comparison == "previous":
        assert earlier.last < period.first
        assert (period.first - earlier.last).days <= 7


@given(periods)
def test_every_date_is_in_one_week_and_weeks_begin_on_mondays(period):
    weeks = period.weeks()
    assert list(dict.fromkeys(day - timedelta(days=day.weekday()) for day in period.dates())) == weeks


def test_day_counts_end_yesterday():
    assert named_period("7 days", TODAY, FIRST) == Period(date(2026, 11, 22), date(2026, 11, 28))
    assert named_period("today", TODAY, FIRST) == Period(TODAY, TODAY)
    assert named_period("month", TODAY, FIRST) == Period(date(2026, 11, 1), TODAY)
    assert named_period("all", TODAY, FIRST) == Period(FIRST, TODAY)


@pytest.mark.parametrize("name", PERIODS)
def test_shop_that_began_today_has_a_period(name):
    period = named_period(name, TODAY, TODAY)
    assert period.first <= TODAY <= period.last


def test_long_history_is_cut():
    assert named_period("all", TODAY, date(1999, 1, 1)).days == MAX_DAYS


@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (lambda: Period(TODAY, FIRST), "swap the dates"),
        (lambda: Period(date(2000, 1, 1), TODAY), "choose at most"),
        (lambda: named_period("fortnight", TODAY, FIRST), "use one of today"),
        (lambda: compared_period(Period(FIRST, TODAY), "last"), "use one of previous"),
        (lambda: compared_period(Period(date.min, date(1, 1, 5)), "previous"), "period, or no comparison"),
        (lambda: compared_period(Period(date(1, 12, 1), date(1, 12, 1)), "year"), "choose a later period"),
    ],
)
def test_invalid_periods_name_the_remedy(make, remedy):
    with pytest.raises(InvalidPeriod, match=remedy):
        make()
