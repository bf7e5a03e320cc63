"""The last look at what may be shown, by the catalogue and the merchant's words alone: zero ineligible items, ever.

Reads the warehouse; makes temporary tables of the products that may be shown and of the lists without all others. It is
no dbt model, and shares no rule with `eligibility`: what one of them overlooks, the other one finds.
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

# What is left of a list is numbered again.
_ITEMS = """
create temp table items as
select offered.* replace (
    row_number() over (partition by offered.strategy, offered.shop, offered.list order by offered.position) as position
)
from warehouse.exports.list_items as offered
semi join allowed on offered.shop = allowed.shop and offered.recommended_product_id = allowed.product_id
where offered.list <> offered.recommended_product_id
"""


def look(connection: duckdb.DuckDBPyConnection) -> int:
    """Make `allowed` (shop, product_id) and `items`, the rows of exports.list_items that may be shown.

    Returns:
        How many items were taken out: 0, unless a rule of the models fails.
    """
    connection.execute(_ALLOWED)
    connection.execute(_ITEMS)
    [(dropped,)] = connection.execute(
        "select (select count(*) from warehouse.exports.list_items) - (select count(*) from items)"
    ).fetchall()
    return dropped
