"""Final eligibility check before the export, by catalogue and merchant rules alone: no ineligible item is published.

Reads the warehouse, creates temporary tables of eligible products and of the list items that remain. Deliberately not a
dbt model and independent of the rules of the `eligibility` mart: each catches what the other misses.
"""

import duckdb

_ALLOWED = """
create temp table allowed as
select products.shop, products.product_id
from warehouse.core.products as products
inner join warehouse.recommendations.eligibility as eligibility using (shop, product_id)
inner join warehouse.core.shops as shops on products.shop = shops.shop
where
    eligibility.is_eligible and products.is_published and products.is_available and not products.is_deleted
    and not coalesce(products.is_gift_card, false) and coalesce(products.price_max > 0, true)
    and not exists (
        select 1 from warehouse.raw_shops.recommendation_rules as rules
        where rules.shop = products.shop and rules.rule = 'exclude'
            and rules.product in (lower(products.product_id), lower(products.handle))
    )
    and not exists (
        select 1 from warehouse.intermediate.int_recommendation_rules as rules
        where rules.shop = products.shop and rules.rule = 'exclude' and rules.product_id = products.product_id
    )
"""

# Positions are renumbered after ineligible items are removed.
_ITEMS = """
create temp table items as
select offered.* replace (
    row_number() over (partition by offered.strategy, offered.shop, offered.list order by offered.position) as position
)
from warehouse.exports.list_items as offered
semi join allowed on offered.shop = allowed.shop and offered.recommended_product_id = allowed.product_id
where offered.list <> offered.recommended_product_id
"""


def check_eligibility(connection: duckdb.DuckDBPyConnection) -> int:
    """Create `allowed` (shop, product_id) and `items`, the rows of exports.list_items that may be shown.

    Returns:
        How many items were removed: 0, unless a rule in the models is wrong.
    """
    connection.execute(_ALLOWED)
    connection.execute(_ITEMS)
    [(dropped,)] = connection.execute(
        "select (select count(*) from warehouse.exports.list_items) - (select count(*) from items)"
    ).fetchall()
    return dropped
