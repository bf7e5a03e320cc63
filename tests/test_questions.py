"""The answers in docs/questions.md match the warehouse, and every column of a mart is described."""

import json

import pytest

from orchestration.dbt_manifest import prepare_dbt
from tests.questions import answered, questions
from tests.warehouse import MARTS


def test_all_questions_are_found():
    assert len(questions()) >= 20


@pytest.mark.parametrize("question", questions(), ids=lambda question: question.title)
def test_documented_answers_match_the_warehouse(built_demo, question):
    assert answered(built_demo, question.sql) == question.answer


def test_every_column_of_a_mart_is_described_and_every_described_column_exists(built_demo):
    nodes = json.loads((prepare_dbt() / "manifest.json").read_text())["nodes"].values()
    described = {
        f"{node['schema']}.{node['name']}": {name for name, column in node["columns"].items() if column["description"]}
        for node in nodes
        if node["resource_type"] == "model"
    }
    columns = built_demo.query("select table_schema || '.' || table_name, column_name from information_schema.columns")
    found = {model: {column for table, column in columns if table == model} for model in described}
    marts = {model for model in described if model.partition(".")[0] in MARTS}
    assert {model: described[model] for model in marts} == {model: found[model] for model in marts}
    assert {model: names - found[model] for model, names in described.items() if names - found[model]} == {}
