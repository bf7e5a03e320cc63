"""Closed-form regression against the published formula, and personal lists from a warehouse of a few rows."""

from datetime import date, datetime

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from serving.recommenders.ease import best_products, product_weights
from serving.recommenders.personal import below_popularity, recommend

# Two groups of persons: one likes 1, 2 and 3, the other likes 7, 8 and 9.
WAREHOUSE = """
create schema intermediate; create schema recommendations;
create table intermediate.int_as_of as select 's' as shop, timestamp '2026-11-20 12:00:00' as as_of;
create table intermediate.int_shop_today as select 's' as shop, date '2026-11-20' as today;
create table intermediate.int_personal_methods as select 's' as shop, 'ease' as method;
create table intermediate.int_recommendation_settings as
    select unnest(['model_version', 'max_per_vendor_and_type']) as name, unnest(['7', '3']) as value;
create table intermediate.int_interests as
    select 'now' as trained_for, 's' as shop, 'a' || person as journey_id, unnest(['1', '2', '3']) as product_id,
        1 as weight, 0 as orders, date '2026-11-19' as last_date
    from range(20) as persons (person)
    union all
    select 'now', 's', 'b' || person, unnest(['7', '8', '9']), 1, 0, date '2026-11-19'
    from range(20) as persons (person)
    union all
    select 'now', 's', 'buyer', '1', 5, 1, date '2026-11-19'
    union all
    select 'now', 's', 'buyer', '2', 5, 1, date '2026-11-18'
    union all
    select 'now', 's', 'inactive', unnest(['1', '3']), 1, 0, date '2026-09-01';
insert into intermediate.int_interests
    select 'backtest', * exclude (trained_for) from intermediate.int_interests
    where journey_id <> 'buyer' and not (journey_id like 'a%' and product_id = '3');
create table intermediate.int_permissions as
    select distinct shop, journey_id, true as may_have_personal_lists from intermediate.int_interests;
create table intermediate.int_repurchased_products (shop varchar, product_id varchar);
create table intermediate.int_personal_scores (shop varchar, journey_id varchar, product_id varchar, score double);
create table recommendations.personal (
    shop varchar, journey_id varchar, position bigint, recommended_product_id varchar, strategy varchar, score double,
    computed_at timestamp, model_version varchar
);
create table recommendations.eligibility as
    select 's' as shop, unnest(['1', '2', '3', '7', '8', '9']) as product_id, product_id <> '9' as is_eligible,
        null::varchar as diversity_group;
create table recommendations.evaluation (
    evaluation_key varchar, shop varchar, task varchar, strategy varchar, cutoff bigint, cases bigint,
    history bigint, status varchar, hit_rate double, mrr double, recall double, coverage double, novelty double,
    trained_until date, computed_at timestamp, model_version varchar
);
"""


@pytest.fixture
def warehouse(tmp_path):
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute(WAREHOUSE)
    return tmp_path / "warehouse.duckdb"


def rows(warehouse, sql):
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def change(warehouse, sql):
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(sql)


def listed(warehouse, journey):
    return [
        product
        for (product,) in rows(
            warehouse,
            f"select recommended_product_id from recommendations.personal where journey_id = '{journey}' "
            "order by position",
        )
    ]


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 12), st.integers(1, 300))
def test_weights_match_the_formula(seed, products, regularisation):
    rng = np.random.default_rng(seed)
    interests = (rng.random((25, products)) < 0.3).astype(np.float32)
    precision = np.linalg.inv(interests.T.astype(float) @ interests + regularisation * np.eye(products))
    expected = np.eye(products) - precision / np.diag(precision)
    found = product_weights(sparse.csr_matrix(interests), regularisation)
    assert np.allclose(found, expected, atol=1e-4)
    assert (np.diag(found) == 0).all()


def test_ties_are_in_product_order_and_barred_products_last():
    weights = np.array([[0, 1, 1, 2], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], dtype=np.float32)
    profile = sparse.csr_matrix(np.array([[1, 0, 0, 0]], dtype=np.float32))
    barred = sparse.csr_matrix(np.array([[0, 0, 0, 1]], dtype=np.float32))
    products, scores = best_products(profile, weights, barred, 10)
    assert products.tolist() == [[1, 2, 0, 3]]
    assert scores[0, 3] == -np.inf


def test_persons_get_products_of_similar_persons(warehouse):
    assert recommend(warehouse) == {"s": 41}
    assert listed(warehouse, "a1") == ["1", "2", "3"]
    assert listed(warehouse, "b1") == ["7", "8"], "ineligible products are not shown"


def test_owned_product_is_excluded_unless_repurchased(warehouse):
    recommend(warehouse)
    assert listed(warehouse, "buyer") == ["3"]
    change(warehouse, "insert into intermediate.int_repurchased_products values ('s', '2')")
    recommend(warehouse)
    assert set(listed(warehouse, "buyer")) == {"2", "3"}


def test_inactive_person_has_no_personal_list(warehouse):
    recommend(warehouse)
    assert listed(warehouse, "inactive") == []


def test_settings_come_from_dbt(warehouse):
    for name, value in (("personal_active_days", 100), ("list_limit", 1)):
        change(warehouse, f"insert into intermediate.int_recommendation_settings values ('{name}', '{value}')")
    recommend(warehouse)
    assert len(listed(warehouse, "inactive")) == 1


def test_inactive_shop_has_no_personal_lists(warehouse):
    change(warehouse, "update intermediate.int_shop_today set today = date '2027-09-01'")
    assert recommend(warehouse) == {}


def test_history_of_older_version_is_kept(warehouse):
    change(warehouse, "create table recommendations.evaluation_history (shop varchar, computed_at timestamp, old int)")
    change(warehouse, "insert into recommendations.evaluation_history values ('s', timestamp '2025-01-01', 7)")
    recommend(warehouse)
    history = rows(warehouse, "select old, strategy from recommendations.evaluation_history order by all")
    assert history == [(7, None), (None, "ease"), (None, "popular")]


def test_limit_per_vendor_and_type(warehouse):
    change(warehouse, "update recommendations.eligibility set diversity_group = 'v | t', is_eligible = true")
    change(warehouse, "update intermediate.int_recommendation_settings set value = '1' where value = '3'")
    recommend(warehouse)
    assert len(listed(warehouse, "a1")) == 1


def test_large_catalogue_uses_item_similarity(warehouse):
    change(warehouse, "update intermediate.int_personal_methods set method = 'item_similarity'")
    change(
        warehouse, "insert into intermediate.int_personal_scores values ('s', 'a1', '8', 0.5), ('s', 'a1', '9', 0.9)"
    )
    recommend(warehouse)
    assert rows(warehouse, "select journey_id, recommended_product_id, strategy from recommendations.personal") == [
        ("a1", "8", "item_similarity")
    ]


def test_evaluation_is_recorded_once_per_as_of(warehouse):
    recommend(warehouse)
    recommend(warehouse)
    measured = rows(
        warehouse,
        "select strategy, cases, hit_rate, trained_until from recommendations.evaluation_history order by strategy",
    )
    # Twenty persons showed interest in 3 only after the cutoff; their interest in 1 and 2 predicts it.
    assert [(strategy, cases, rate) for strategy, cases, rate, _ in measured] == [
        ("ease", 20, 1.0),
        ("popular", 20, 1.0),
    ]
    assert measured[0][3] == date(2026, 11, 19)
    change(warehouse, f"update intermediate.int_as_of set as_of = timestamp '{datetime(2026, 11, 21)}'")
    recommend(warehouse)
    [(recorded,)] = rows(warehouse, "select count(distinct computed_at) from recommendations.evaluation_history")
    assert recorded == 2


def test_evaluation_measures_only_products_that_would_be_shown(warehouse):
    """New interest in 9 is not a hit, as nothing predicts it: lists contain 3, or nothing at all."""
    measured = (
        "select strategy, hit_rate, recall, round(coverage * 6), round(power(2, novelty)) "
        "from recommendations.evaluation_history order by strategy"
    )
    change(
        warehouse,
        "update intermediate.int_interests set product_id = '9' "
        "where trained_for = 'now' and journey_id like 'a%' and product_id = '3'",
    )
    recommend(warehouse)
    [ease, popular] = rows(warehouse, measured)
    assert ease == ("ease", 0, 0, 1, 102)
    assert popular[:4] == ("popular", 1, 1, 4)
    change(warehouse, "delete from intermediate.int_interests where trained_for = 'backtest' and product_id = '3'")
    recommend(warehouse)
    assert rows(warehouse, measured)[0] == ("ease", 0, 0, 0, None)


def test_evaluation_with_few_cases_has_no_rates(warehouse):
    change(warehouse, "insert into intermediate.int_recommendation_settings values ('evaluation_min_cases', '21')")
    recommend(warehouse)
    assert rows(
        warehouse,
        "select distinct cases, status, hit_rate, mrr, recall, coverage, novelty "
        "from recommendations.evaluation_history",
    ) == [(20, "too little history", None, None, None, None, None)]
    assert below_popularity(warehouse, min_cases=1) == []


def test_below_popularity_needs_enough_cases(warehouse):
    for strategy, rate in (("viewed_together", 0.1), ("session_blend", 0.3), ("popular", 0.2)):
        change(
            warehouse,
            "insert into recommendations.evaluation by name select 's' as shop, 'next_view' as task, "
            f"'{strategy}' as strategy, 20 as cutoff, 150 as cases, {rate} as hit_rate, date '2026-11-13' as "
            "trained_until, timestamp '2026-11-20 12:00:00' as computed_at",
        )
    recommend(warehouse)
    assert [found.strategy for found in below_popularity(warehouse)] == ["viewed_together"]
    assert below_popularity(warehouse, min_cases=151) == []


def test_shop_without_persons_has_no_lists(warehouse):
    for table in ("int_interests", "int_personal_methods"):
        change(warehouse, f"delete from intermediate.{table}")
    assert recommend(warehouse) == {}
    assert rows(warehouse, "select count(*) from recommendations.personal") == [(0,)]


def test_persons_who_refuse_have_no_list_but_count_for_others(warehouse):
    recommend(warehouse)
    before = listed(warehouse, "a1")
    assert listed(warehouse, "a0") and before
    change(
        warehouse,
        "update intermediate.int_permissions set may_have_personal_lists = false where journey_id = 'a0'",
    )
    recommend(warehouse)
    assert listed(warehouse, "a0") == []
    assert listed(warehouse, "a1") == before
