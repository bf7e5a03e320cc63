import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from serving.analytics.reports import UNITS
from serving.api import ApiSettings, create_api
from serving.api.keys import KEYS_VARIABLE, add_key
from tests.serving.conftest import KEY, ROUTES, SEED
from tests.serving.published_version import SHOP

EXISTING = {"shop": SHOP, "product_id": SEED, "visitor_id": "client-1", "metric": "sessions", "report": "funnel"}


@pytest.fixture(scope="module")
def lists(ask):
    """The API with lists, and the headers that grant access."""
    return schemathesis.openapi.from_asgi("/openapi.json", ask.app), KEY


@pytest.fixture(scope="module")
def numbers(built_demo, tmp_path_factory):
    """The API with numbers, and the headers that grant access."""
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEYS_VARIABLE, str(file))
        app = create_api(built_demo.data, ApiSettings(0))
    _, key = add_key(file, SHOP, ("analytics", "status"), requests_per_minute=0)
    return schemathesis.openapi.from_asgi("/openapi.json", app), {"authorization": f"Bearer {key}"}


@pytest.mark.parametrize(
    ("route", "mode"),
    [
        *((route, GenerationMode.POSITIVE) for route in ROUTES),
        *(
            (route, GenerationMode.NEGATIVE) for route in ROUTES if "{" in route
        ),  # the others have no parameter that can be invalid
    ],
)
def test_responses_conform_to_openapi(lists, numbers, route, mode):
    """Valid and invalid requests, for an existing shop and for random ones."""
    method, _, path = route.partition(" ")
    description, headers = numbers if "/analytics/" in path or path.endswith("/status") else lists
    operation = description[path][method]
    existing = {name: value for name, value in EXISTING.items() if f"{{{name}}}" in path}
    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
    statuses = set()

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=st.one_of(operation.as_strategy(mode, path_parameters=existing), operation.as_strategy(mode)))
    def check(case):
        answer = case.call_and_validate(headers=headers, checks=checks)
        statuses.add(answer.status_code)

    check()
    if mode is GenerationMode.NEGATIVE:
        assert 422 in statuses
    else:  # few random requests hit something that exists
        plain = operation.Case(path_parameters=existing, **({"body": {"products": [SEED]}} if method == "post" else {}))
        assert plain.call_and_validate(headers=headers, checks=checks).status_code == 200


def test_openapi_has_every_route_and_error_schema(ask):
    described = ask("/openapi.json").json()
    assert {f"{method} {path}" for path, item in described["paths"].items() for method in item} == set(ROUTES)
    for path, item in described["paths"].items():
        for operation in item.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert response["content"]["application/json"]["schema"] == {
                        "$ref": "#/components/schemas/Refusal"
                    }, path


def test_description_states_access_of_key_and_signature(ask):
    described = ask("/openapi.json").json()
    schemes = described["components"]["securitySchemes"]
    assert "journey id" in schemes["apiKey"]["description"]
    assert "client id only" in schemes["appProxy"]["description"]


def test_description_of_a_report_column_names_every_unit(ask):
    column = ask("/openapi.json").json()["components"]["schemas"]["ReportColumn"]
    assert [unit for unit in UNITS if unit not in column["description"]] == []
