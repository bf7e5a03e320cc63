"""How lists are made: vars of dbt_project.yml under their own names, for what runs after dbt.

intermediate.int_recommendation_settings flows in; `ListSettings` flows out, and stands in the manifest of each version.
"""

import duckdb
import msgspec


class ListSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The vars that are shared; dbt_project.yml says what each means. The defaults are the project's."""

    model_version: str = "1"
    list_limit: int = 20
    max_per_vendor_and_type: int = 3
    session_views: int = 5
    neighbour_sessions_per_product: int = 500
    neighbour_sessions: int = 200
    neighbour_days: int = 90
    blend_of_lists: float = 0.3
    purchase_weight: float = 5
    interest_half_life_days: float = 120
    personal_active_days: int = 30
    evaluation_cases: int = 2_000
    evaluation_min_cases: int = 20
    evaluation_min_history: int = 20


DEFAULTS = ListSettings()


def read_settings(connection: duckdb.DuckDBPyConnection) -> ListSettings:
    """The settings by which dbt has just made its lists; the warehouse is the connection's own, or in use."""
    rows = connection.execute("select name, value from intermediate.int_recommendation_settings").fetchall()
    return msgspec.convert(dict(rows), ListSettings, strict=False)
