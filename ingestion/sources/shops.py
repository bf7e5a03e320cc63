"""dlt source `shops`: the stores of shops.toml, so that SQL knows each shop's timezone and currency."""

from collections.abc import Iterator, Sequence

import dlt
from dlt.extract import DltResource

from ingestion.shops import Shop
from ingestion.sources import SCHEMA_CONTRACT


@dlt.source(name="shops", schema_contract=SCHEMA_CONTRACT)
def shops_source(shops: Sequence[Shop] = ()) -> DltResource:
    """Table raw_shops.shops. One row per shop: domain, name, timezone, currency."""

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

    return rows
