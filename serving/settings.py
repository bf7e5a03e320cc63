"""Settings of recommendations and experiments, for code that runs after dbt: the vars of dbt_project.yml, by name.

Reads intermediate.int_recommendation_settings, returns `ListSettings` or `ExperimentSettings`; the manifest of each
version records the former.
"""

import duckdb
import msgspec


class ListSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The shared vars, with the project's defaults; dbt_project.yml documents each."""

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


class ExperimentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The shared vars about experiments, with the project's defaults; dbt_project.yml documents each."""

    experiment_max_mixed_share: float = 0.01
    experiment_target_lift: float = 0.1


EXPERIMENT_DEFAULTS = ExperimentSettings()


def read_settings(connection: duckdb.DuckDBPyConnection) -> ListSettings:
    """The settings of the latest dbt build; the warehouse must be the connection's current database."""
    return msgspec.convert(_values(connection), ListSettings, strict=False)


def read_experiment_settings(connection: duckdb.DuckDBPyConnection) -> ExperimentSettings:
    """The settings of experiments, read in the same way."""
    return msgspec.convert(_values(connection), ExperimentSettings, strict=False)


def _values(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    return dict(connection.execute("select name, value from intermediate.int_recommendation_settings").fetchall())
