"""Rules of the architecture that no linter checks."""

import re
import tomllib
from functools import cache

import msgspec
import pytest
import yaml

from ingestion.privacy.retention import DAILY
from serving.settings import DEFAULTS, EXPERIMENT_DEFAULTS
from tests.conftest import PROJECT
from tests.warehouse import WORK_SETS

MODELS = sorted((PROJECT / "dbt_project" / "models").rglob("*.sql"))
MARTS = [model for model in MODELS if "marts" in model.parts]
ENGINE_SPECIFIC = re.compile(
    r"\bqualify\b|->>?|target\.type|\bread_\w+\(|\bgroup by all\b|\border by all\b|\bcurrent_timestamp\b|\bnow\(\)|"
    r"\blist_\w+\(|\bjson_extract\w*\(|\bunnest\(|\bstrftime\(|\bepoch_ms\(",
    re.IGNORECASE,
)


# The same event may be rejected several times; work sets of a run are tested by the models that keep their rows.
WITHOUT_KEY = {"int_events_rejected"}


@cache
def described_models() -> dict[str, dict]:
    return {
        model["name"]: model
        for file in (PROJECT / "dbt_project" / "models").rglob("*.yml")
        for model in yaml.safe_load(file.read_text()).get("models", [])
    }


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.stem)
def test_a_model_is_portable_and_has_no_clock(model):
    assert ENGINE_SPECIFIC.findall(model.read_text()) == []


def test_the_pattern_matches_forbidden_sql():
    for forbidden in ("qualify row_number()", "payload->>'$.id'", "read_json('x')", "current_timestamp"):
        assert ENGINE_SPECIFIC.search(forbidden)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.stem)
def test_every_model_describes_its_rows_and_tests_its_key(model):
    described = described_models()[model.stem]
    assert described["description"].startswith("One row per ")
    keys = [test["valid_rows"]["arguments"].get("keys") for test in described.get("data_tests", [])]
    keeps_rows = model in MARTS or "replace_changed" in model.read_text()
    assert any(keys) or not keeps_rows or model.stem in WITHOUT_KEY


@pytest.mark.parametrize("model", MARTS, ids=lambda model: model.stem)
def test_every_column_of_a_mart_is_typed_and_described(model):
    for column in described_models()[model.stem]["columns"]:
        assert column["description"]
        assert column["data_type"]


def test_the_run_end_hook_finds_every_work_set():
    """A complete build empties the tables that grow from run to run, and the received events, which are large."""
    project = yaml.safe_load((PROJECT / "dbt_project" / "dbt_project.yml").read_text())
    assert project["on-run-end"] == "{{ record_landing_files(results) }}"
    grows = {model.stem for model in MODELS if "incremental_strategy='append'" in model.read_text()}
    tagged = {model.stem for model in MODELS if "tags='work_set'" in model.read_text()}
    assert tagged == grows | {"int_events_received_this_run"} == set(WORK_SETS)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.stem)
def test_this_run_models_have_the_suffix_and_the_folder(model):
    sql = re.sub(r"\{#.*?#\}|-- depends_on.*?$", "", model.read_text(), flags=re.DOTALL | re.MULTILINE)
    is_of_this_run = model.stem.endswith("_this_run")
    assert is_of_this_run == (model.parent.name == "this_run")
    reads_this_run = "_this_run" in sql
    keeps_history = "incremental_strategy='replace_changed'" in sql
    assert is_of_this_run or keeps_history or not reads_this_run


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.stem)
def test_models_reading_a_previous_run_use_the_macro(model):
    """The macro makes these places easy to find; predicates of deletions may name their tables directly."""
    body = re.sub(r"\{\{ config\(.*?^\) \}\}", "", model.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert not re.search(r"\b(from|join) (intermediate|core|analytics)\.", body)


def test_constraints_name_no_host():
    constraints = (PROJECT / "constraints.txt").read_text()
    assert "://" not in constraints
    assert re.search(r"^dbt-core==1\.11\.", constraints, re.MULTILINE)
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    wanted = [re.split(r"[\[><=]", requirement)[0] for requirement in project["dependencies"]]
    assert [name for name in wanted if f"\n{name}==" not in f"\n{constraints}"] == []


def test_daily_rows_that_retention_keeps_are_those_that_models_take_from_it():
    keeping = {f"{model.parent.name}.{model.stem}" for model in MODELS if "with_kept_days(" in model.read_text()}
    assert keeping == set(DAILY)


def test_steps_after_dbt_take_their_settings_from_dbt():
    variables = yaml.safe_load((PROJECT / "dbt_project" / "dbt_project.yml").read_text())["vars"]
    [model] = [model for model in MODELS if model.stem == "int_recommendation_settings"]
    shared = re.findall(r"^    '(\w+)',$", model.read_text(), re.MULTILINE)
    defaults = msgspec.structs.asdict(DEFAULTS) | msgspec.structs.asdict(EXPERIMENT_DEFAULTS)
    assert {name: variables[name] for name in shared} == defaults


def test_exposures_name_every_mart_and_every_export():
    exposures = yaml.safe_load((PROJECT / "dbt_project" / "models" / "exposures.yml").read_text())["exposures"]
    depends_on = {exposure["name"]: set(exposure["depends_on"]) for exposure in exposures}
    written = ["source('recommendations', 'personal')", "source('recommendations', 'evaluation_history')"]
    written += [f"source('experiment_results', '{name}')" for name in ("results", "sample_ratios", "verdicts")]
    assert depends_on["published_database"] == {f"ref('{model.stem}')" for model in MARTS} | set(written)
    exports = {f"ref('{model.stem}')" for model in MODELS if "exports" in model.parts}
    assert exports <= depends_on["published_lists"] | depends_on["published_visitors"]
