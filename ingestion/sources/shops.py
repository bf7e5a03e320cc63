"""dlt source `shops`: the stores of shops.toml for SQL: timezone, currency, host names, channels and rules."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import dlt
from dlt.extract import DltResource

from ingestion.shops import Shop
from ingestion.sources import SCHEMA_CONTRACT
from ingestion.sources.catalogue_rows import handle_name

_GLOBAL_ID = re.compile(r"^gid://shopify/Product/([0-9]+)")
_ADDRESS = re.compile(r"/products/([^/?#]+)")


@dlt.source(name="shops", schema_contract=SCHEMA_CONTRACT)
def shops_source(shops: Sequence[Shop] = ()) -> tuple[DltResource, ...]:
    """Tables of raw_shops: shops, one row per shop; hosts, one row per shop and host name of its pages;
    recommendation_rules, one row per shop, rule and product that the rule names; channels, one row per shop and source
    or medium with a channel set by the merchant; put_aside, one row per shop that could not be built."""

    @dlt.resource(
        name="shops",
        write_disposition="replace",
        primary_key="domain",
        columns={
            "domain": {"data_type": "text", "nullable": False},
            "name": {"data_type": "text", "nullable": False},
            "timezone": {"data_type": "text", "nullable": False},
            "currency": {"data_type": "text", "nullable": False},
        },
    )
    def rows() -> Iterator[dict[str, str]]:
        for shop in shops:
            yield {
                "domain": shop.domain,
                "name": shop.name,
                "timezone": shop.timezone,
                "currency": shop.currency,
            }

    @dlt.resource(
        name="hosts",
        write_disposition="replace",
        columns={
            "shop": {"data_type": "text", "nullable": False},
            "host": {"data_type": "text", "nullable": False},
        },
    )
    def hosts() -> Iterator[dict[str, str]]:
        for shop in shops:
            for host in sorted({shop.domain, *shop.hosts}):
                yield {"shop": shop.domain, "host": host}

    @dlt.resource(
        name="channels",
        write_disposition="replace",
        columns={
            "shop": {"data_type": "text", "nullable": False},
            "value": {"data_type": "text", "nullable": False},
            "channel": {"data_type": "text", "nullable": False},
        },
    )
    def channels() -> Iterator[Any]:
        yield dlt.mark.materialize_table_schema()  # most shops set none, but SQL reads the table anyway
        for shop in shops:
            for value, channel in shop.channels.items():
                yield {"shop": shop.domain, "value": value, "channel": channel}

    @dlt.resource(
        name="recommendation_rules",
        write_disposition="replace",
        columns={
            "shop": {"data_type": "text", "nullable": False},
            "rule": {"data_type": "text", "nullable": False},
            "beside": {"data_type": "text"},
            "product": {"data_type": "text", "nullable": False},
            "place": {"data_type": "bigint", "nullable": False},
        },
    )
    def recommendation_rules() -> Iterator[Any]:
        yield dlt.mark.materialize_table_schema()  # most shops have no rules, but SQL reads the table anyway
        for shop in shops:
            wanted = shop.recommendations
            named = [("exclude", None, wanted.exclude), ("pin", None, wanted.pin)]
            named += [("pin", beside, products) for beside, products in wanted.pin_beside.items()]
            for rule, beside, products in named:
                for place, product in enumerate(products, start=1):
                    yield {
                        "shop": shop.domain,
                        "rule": rule,
                        "beside": None if beside is None else _named(beside),
                        "product": _named(product),
                        "place": place,
                    }

    @dlt.resource(
        name="put_aside",
        write_disposition="append",
        columns={
            "shop": {"data_type": "text", "nullable": False},
            "reason": {"data_type": "text", "nullable": False},
            "put_aside_at": {"data_type": "timestamp", "nullable": False},
        },
    )
    def put_aside() -> Iterator[Any]:
        yield dlt.mark.materialize_table_schema()  # ingestion/quarantine.py writes its rows

    return rows, hosts, channels, recommendation_rules, put_aside


def _named(product: str | int) -> str:
    """The warehouse's name for a product: the number of a global id, or the handle, also from its page's URL."""
    text = str(product).strip()
    for pattern in (_GLOBAL_ID, _ADDRESS):
        if found := pattern.search(text):
            text = found[1]
    return handle_name(text)
