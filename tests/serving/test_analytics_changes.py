"""The parts of a change in sales add up to it, and name what changed."""

from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from serving.analytics.changes import ORDER_RATE, ORDER_VALUE, SESSIONS, Factors, divided

EMAIL = ("email", "mobile")
amounts = st.integers(0, 10**13).map(lambda number: number / 10_000)  # the smallest unit of money in the warehouse
factors = st.none() | st.builds(Factors, st.integers(0, 10**6), st.integers(0, 10**5), amounts)


@given(factors, factors)
def test_parts_add_up_to_the_difference(before, now):
    difference = (now.sales if now else 0) - (before.sales if before else 0)
    largest = max(before.sales if before else 0, now.sales if now else 0)
    assert sum(part.amount for part in divided(EMAIL, before, now)) == approx(difference, rel=1e-9, abs=1e-9 * largest)


def test_only_the_factor_that_changed_has_a_part():
    before = Factors(sessions=100, orders=10, sales=500)
    for factor, now in {
        SESSIONS: Factors(200, 20, 1000),
        ORDER_RATE: Factors(100, 20, 1000),
        ORDER_VALUE: Factors(100, 10, 1000),
    }.items():
        parts = {part.factor: part.amount for part in divided(EMAIL, before, now)}
        assert parts.pop(factor) == approx(500)
        assert list(parts.values()) == approx([0, 0], abs=1e-9)


def test_new_segment_is_due_to_sessions_and_first_orders_to_order_rate():
    [new] = divided(EMAIL, None, Factors(10, 1, 50))
    assert (new.factor, new.amount) == (SESSIONS, 50)
    [first_orders] = divided(EMAIL, Factors(10, 0, 0), Factors(10, 2, 80))
    assert (first_orders.factor, first_orders.amount) == (ORDER_RATE, 80)
    assert divided(EMAIL, None, Factors(5, 0, 0)) == []
