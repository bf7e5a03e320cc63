"""dlt source `shops`: the stores of shops.toml, so that SQL knows each shop's timezone, currency and host names."""

from collections.abc import Iterator, Sequence

import dlt
from dlt.extract import DltResource

from ingestion.shops import Shop
from ingestion.sources import SCHEMA_CONTRACT


@dlt.source(name="shops", schema_contract=SCHEMA_CONTRACT)
def shops_source(shops: Sequence[Shop] = ()) -> tuple[DltResource, DltResource]:
    """Tables raw_shops.shops, one row per shop, and raw_shops.hosts, one row per shop and host name of its pages."""

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

    return rows, hosts
