"""The dlt sources: pixel (landing files), shopify (Admin API), catalogue (product files), shops (shops.toml).

A source's name is the suffix of its raw schema and the first part of its assets' keys; its resources are the tables.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # loading dlt takes most of a second
    from dlt.common.schema.typing import TSchemaContract

# New fields are added; a field that changes its type fails rather than silently getting a second column.
SCHEMA_CONTRACT: "TSchemaContract" = {"tables": "evolve", "columns": "evolve", "data_type": "freeze"}
