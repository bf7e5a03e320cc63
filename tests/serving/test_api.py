import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import msgspec
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

from serving import api as api_module
from serving.api import ApiSettings, CannotListen, create_api, serve
from serving.published import Published, private_folder, shop_folder
from serving.session_neighbours import SessionNeighbours, ViewedTogether, blend, combined_lists
from serving.visitor_access import FRESH_SECONDS, VisitorSecrets, app_proxy_signature
from tests.conftest import PROJECT
from tests.serving.published_version import FIRST_HIDDEN, FIRST_PRODUCT, MAX_PER_GROUP, SHOP, write_version

ROOT = f"/v1/shops/{SHOP}"
PRODUCTS = 40
SEED = str(FIRST_PRODUCT)
WITHOUT_DOCUMENT = str(FIRST_PRODUCT + PRODUCTS - 1)
HIDDEN = str(FIRST_HIDDEN)
SECRETS = VisitorSecrets(api_keys=(b"old-key", b"new-key"), app_secrets=(b"hush",))
KEY = {"authorization": "Bearer new-key"}
PATHS = (
    f"{ROOT}/products/{SEED}/recommendations",
    f"{ROOT}/products/{SEED}/recommendations?placement=viewed_together",
    f"{ROOT}/products/{SEED}/recommendations?placement=bought_together",
    f"{ROOT}/products/{WITHOUT_DOCUMENT}/recommendations",
    f"{ROOT}/products/{HIDDEN}/recommendations",
    f"{ROOT}/popular",
    f"{ROOT}/popular?collection=501",
    f"{ROOT}/popular?segment=new",
    f"{ROOT}/popular?channel=direct",
    f"{ROOT}/trending",
    f"{ROOT}/visitors/client-3",
    f"{ROOT}/visitors/nobody",
)
ROUTES = (
    "get /v1/shops/{shop}/products/{product_id}/recommendations",
    "get /v1/shops/{shop}/popular",
    "get /v1/shops/{shop}/trending",
    "post /v1/shops/{shop}/session",
    "get /v1/shops/{shop}/visitors/{visitor_id}",
    "get /healthz",
    "get /metrics",
)


class Asking:
    """An API in this process, asked one request after another."""

    def __init__(self, data: Path, requests_per_second: int = 0, secrets: VisitorSecrets = SECRETS) -> None:
        self.app = create_api(data, ApiSettings(requests_per_second, secrets))

    def __call__(self, path: str, method: str = "GET", address: str = "192.0.2.1", **request) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=(address, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
                return await client.request(method, path, **request)

        return asyncio.run(ask())

    def session(self, products: list, **more) -> httpx.Response:
        return self(f"{ROOT}/session", "POST", json={"products": products, **more})


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Published:
    return write_version(tmp_path_factory.mktemp("data"), products=PRODUCTS)


@pytest.fixture(scope="module")
def ask(published) -> Asking:
    return Asking(published.folder.parent.parent)


@pytest.fixture
def looks_at_once(monkeypatch) -> None:
    """`current` is looked at with every request, so that no test waits."""
    monkeypatch.setattr(api_module, "LOOK_SECONDS", 0.0)


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["product_id"] for item in answer.json()["items"]]


def codes(answer: httpx.Response) -> list[str]:
    return [item["reason"]["code"] for item in answer.json()["items"]]


def catalogue_of(published: Published) -> dict:
    return json.loads((published.folder / shop_folder(SHOP) / "catalogue.json").read_bytes())


def broken_laws(answer: dict, catalogue: dict, banned: set[str], limit: int) -> list[str]:
    """What is wrong with the items of an answer, by the catalogue's file alone."""
    items = answer["items"]
    shown = [item["product_id"] for item in items]
    groups = Counter(catalogue["diversity"][one] for one in shown if one in catalogue["diversity"])
    laws = {
        "is not in the catalogue": any(one not in catalogue["products"] for one in shown),
        "is the seed or excluded": any(one in banned for one in shown),
        "stands twice": len(set(shown)) < len(shown),
        "is one too many of its group": any(count > catalogue["max_per_group"] for count in groups.values()),
        "is over the limit": len(items) > limit,
        "has a wrong position": [item["position"] for item in items] != list(range(1, len(items) + 1)),
        "is not as the catalogue says": any(
            item.get(name) != value
            for item in items
            for name, value in catalogue["products"].get(item["product_id"], {}).items()
        ),
        "is of another version": answer["version"] != catalogue["version"],
    }
    return [law for law, broken in laws.items() if broken]


def signed(path: str, timestamp: float, secret: bytes = b"hush", shop: str = SHOP, **fields: str) -> str:
    """A path as Shopify's app proxy asks for it."""
    query = {**fields, "shop": shop, "path_prefix": "/apps/pixelnova", "timestamp": str(int(timestamp))}
    query["signature"] = app_proxy_signature(list(query.items()), secret)
    return f"{path}?{httpx.QueryParams(query)}"


def wait_until(done, seconds: float = 60.0):
    deadline = time.monotonic() + seconds
    while not (result := done()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)
    return result


# products


def test_a_product_page_is_answered_as_it_was_published(ask, published):
    answer = ask(f"{ROOT}/products/{SEED}/recommendations")
    document = published.document(SHOP, SEED)
    assert answer.json() == {
        "schema": 1,
        "shop": SHOP,
        "version": published.folder.name,
        "model_version": published.manifest.model_version,
        "generated_at": published.manifest.as_of,
        "placement": "product_page",
        "seed": msgspec.to_builtins(document.seed),
        "items": msgspec.to_builtins(document.placements["product_page"]),
    }
    assert len(answer.json()["items"]) == 12


def test_limit_takes_the_first_and_exclude_moves_the_others_up(ask):
    path = f"{ROOT}/products/{SEED}/recommendations"
    first = ids(ask(path))
    assert ids(ask(f"{path}?limit=3")) == first[:3]
    rest = ask(f"{path}?limit=3&exclude={first[0]},%20{first[2]},,unknown")
    assert ids(rest) == [first[1], *first[3:5]]
    assert [item["position"] for item in rest.json()["items"]] == [1, 2, 3]


def test_a_product_page_is_filled_up_with_popular_products(ask, published):
    answer = ask(f"{ROOT}/products/{SEED}/recommendations?limit=50")
    assert codes(answer)[:12] == ["similar"] * 12
    assert set(codes(answer)[12:]) == {"popular"}
    assert broken_laws(answer.json(), catalogue_of(published), {SEED}, 50) == []


@pytest.mark.parametrize("placement", ["bought_together", "viewed_together"])
def test_what_is_known_is_not_filled_up_unless_exclude_empties_it(ask, published, placement):
    documents = [published.document(SHOP, str(FIRST_PRODUCT + number)) for number in range(PRODUCTS - 1)]
    document = next(one for one in documents if 0 < len(one.placements[placement]) <= 8)
    path = f"{ROOT}/products/{document.seed.product_id}/recommendations?placement={placement}"
    known = [item.product_id for item in document.placements[placement]]
    assert ids(ask(path)) == known
    assert ids(ask(f"{path}&exclude={','.join(known[1:])}")) == known[:1]
    emptied = ask(f"{path}&exclude={','.join(known)}")
    assert set(codes(emptied)) == {"popular"}
    assert len(ids(emptied)) == 12


def test_nothing_bought_together_is_an_empty_list(ask, published):
    documents = [published.document(SHOP, str(FIRST_PRODUCT + number)) for number in range(PRODUCTS - 1)]
    seed = next(one.seed.product_id for one in documents if not one.placements["bought_together"])
    assert ids(ask(f"{ROOT}/products/{seed}/recommendations?placement=bought_together")) == []


def test_a_product_without_a_document_gets_what_is_popular_of_its_type_then_of_the_shop(ask, published):
    answer = ask(f"{ROOT}/products/{WITHOUT_DOCUMENT}/recommendations")
    kind = catalogue_of(published)["products"][WITHOUT_DOCUMENT]["type"]
    of_type = [item.product_id for item in published.lists(SHOP).types[kind] if item.product_id != WITHOUT_DOCUMENT]
    assert 0 < len(of_type) < 12
    assert ids(answer)[: len(of_type)] == of_type
    assert codes(answer) == ["popular_in_type"] * len(of_type) + ["popular"] * (12 - len(of_type))
    assert answer.json()["seed"]["product_id"] == WITHOUT_DOCUMENT


def test_a_product_that_may_not_be_shown_may_still_be_looked_at(ask, published):
    answer = ask(f"{ROOT}/products/{HIDDEN}/recommendations")
    assert ids(answer) == [item.product_id for item in published.document(SHOP, HIDDEN).placements["product_page"]]


# lists without a product


@pytest.mark.parametrize(
    ("query", "list_name", "key"),
    [
        ("collection=501", "collections", "501"),
        ("vendor=Altona", "vendors", "Altona"),
        ("vendor=Eimsb%C3%BCttel", "vendors", "Eimsbüttel"),
        ("type=Vase%20%26%20Bowl", "types", "Vase & Bowl"),
        ("segment=new", "segments", "new"),
        ("channel=organic_search", "channels", "organic_search"),
    ],
)
def test_popular_can_be_narrowed_to_one_part_of_the_shop(ask, published, query, list_name, key):
    answer = ask(f"{ROOT}/popular?{query}")
    assert ids(answer) == [item.product_id for item in getattr(published.lists(SHOP), list_name)[key]]
    assert (answer.json()["list"], answer.json()["key"]) == (list_name, key)


def test_popular_and_trending_are_those_of_the_shop(ask, published):
    lists = published.lists(SHOP)
    assert ids(ask(f"{ROOT}/popular")) == [item.product_id for item in lists.popular[:12]]
    assert ids(ask(f"{ROOT}/trending?limit=5")) == [item.product_id for item in lists.trending[:5]]
    assert ask(f"{ROOT}/trending").json()["list"] == "trending"


# sessions


def own_blend(published: Published, viewed: list[str]) -> list[tuple[str, float]]:
    lists = {}
    for product_id in viewed:
        if document := published.document(SHOP, product_id):
            scores = {item.product_id: item.score for item in document.placements["viewed_together"]}
            lists[product_id] = ViewedTogether(document.seed.again, scores)
    sessions = published.folder / private_folder(SHOP) / "sessions.parquet"
    return (
        blend(viewed, SessionNeighbours.read(sessions), lists) if sessions.exists() else combined_lists(viewed, lists)
    )


def test_a_session_is_answered_by_the_blend_with_the_newest_product_last(ask, published):
    viewed = ["1009", "1002", HIDDEN, "1003", "1004", "1030", "1005"]
    answer = ask.session(viewed, limit=50)
    in_session = [item for item in answer.json()["items"] if item["reason"]["code"] == "session"]
    score_by_id = dict(own_blend(published, viewed))
    assert len(in_session) > 5
    assert {item["product_id"]: item["score"] for item in in_session}.items() <= score_by_id.items()
    assert [item["score"] for item in in_session] == sorted((item["score"] for item in in_session), reverse=True)
    assert broken_laws(answer.json(), catalogue_of(published), set(viewed), 50) == []
    assert ids(ask.session(viewed[::-1], limit=50)) != ids(answer)


def test_product_ids_may_be_numbers_as_liquid_writes_them(ask):
    assert ask.session([1001, 1002]).json() == ask.session(["1001", "1002"]).json()


def test_a_session_of_products_that_nobody_knows_gets_popular_ones(ask, published):
    answer = ask.session(["nothing", "is", "known"])
    assert ids(answer) == [item.product_id for item in published.lists(SHOP).popular[:12]]


def test_what_is_excluded_from_a_session_is_not_answered(ask, published):
    first = ids(ask.session(["1001"]))
    excluded = first[:3]
    answer = ask.session(["1001"], exclude=[excluded[0], int(excluded[1]), excluded[2]])
    assert broken_laws(answer.json(), catalogue_of(published), {"1001", *excluded}, 12) == []
    assert ids(answer)[0] == first[3]


def test_without_sessions_the_lists_alone_answer(tmp_path):
    published = write_version(tmp_path)
    (published.folder / private_folder(SHOP) / "sessions.parquet").unlink()
    manifest = published.manifest
    manifest.files = [file for file in manifest.files if not file.path.endswith(".parquet")]
    (published.folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    answer = Asking(tmp_path).session(["1001", "1002"], limit=5)
    assert codes(answer)[0] == "viewed_together"
    assert {
        (item["product_id"], item["score"]) for item in answer.json()["items"] if item["reason"]["code"] != "popular"
    } <= set(own_blend(published, ["1001", "1002"]))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"products": []}',
        b'{"products": "1001"}',
        b'{"products": [""]}',
        b'{"products": [null]}',
        b'{"products": [-1]}',
        b'{"products": ["\xff"]}',
        b'{"products": ["\\ud800"]}',
        b'{"products": ["1"], "limit": 0}',
        b'{"products": ["1"], "limit": 51}',
        json.dumps({"products": ["x" * 65]}).encode(),
        json.dumps({"products": ["1"] * 51}).encode(),
        json.dumps({"products": ["1"], "exclude": ["1"] * 201}).encode(),
        b"[" * 10_000,
    ],
)
def test_a_body_that_is_not_a_session_is_refused(ask, body):
    answer = ask(f"{ROOT}/session", "POST", content=body)
    assert answer.status_code == 422
    assert set(answer.json()) == {"error", "remedy"}


def test_a_body_over_the_bound_is_refused_whether_or_not_it_says_so(ask):
    body = json.dumps({"products": ["1001"], "more": "x" * 16 * 1024}).encode()

    async def pieces():
        for start in range(0, len(body), 1000):
            yield body[start : start + 1000]

    assert ask(f"{ROOT}/session", "POST", content=body).status_code == 413
    assert ask(f"{ROOT}/session", "POST", content=pieces()).status_code == 413
    assert ask(f"{ROOT}/session", "POST", content=body[:10], headers={"content-length": "99999"}).status_code == 413


# persons


def test_a_person_is_found_by_journey_and_by_browser(ask, published):
    by_journey = ask(f"{ROOT}/visitors/journey-3", headers=KEY)
    by_client = ask(f"{ROOT}/visitors/client-3", headers=KEY)
    assert by_journey.json() == by_client.json()
    assert by_client.json()["strategy"] == "for_you"
    assert codes(by_client)[0] == "for_you"
    assert by_client.json()["segment"] in ("champions", "new")
    assert "client-3" not in by_client.text
    assert by_client.headers["cache-control"] == "private, no-store"
    assert "etag" not in by_client.headers
    assert broken_laws(by_client.json(), catalogue_of(published), set(), 12) == []


def test_who_is_unknown_gets_the_popular_list_and_is_told_so(ask, published):
    answer = ask(f"{ROOT}/visitors/nobody", headers=KEY)
    assert answer.json()["strategy"] == "popular"
    assert ids(answer) == [item.product_id for item in published.lists(SHOP).popular[:12]]


def test_the_signature_is_that_of_shopifys_example():
    fields = [
        ("extra", "1"),
        ("extra", "2"),
        ("shop", "shop-name.myshopify.com"),
        ("logged_in_customer_id", "1"),
        ("path_prefix", "/apps/awesome_reviews"),
        ("timestamp", "1317327555"),
        ("signature", "is left out"),
    ]
    expected = "4c68c8624d737112c91818c11017d24d334b524cb5c2b8ba08daa056f7395ddb"
    assert app_proxy_signature(fields, b"hush") == expected


def test_a_fresh_signature_of_the_app_proxy_opens_a_visitors_list(ask):
    answer = ask(signed(f"{ROOT}/visitors/client-3", time.time(), limit="4", exclude="1,2"))
    assert len(ids(answer)) == 4
    assert answer.headers["cache-control"] == "private, no-store"


@pytest.mark.parametrize("path_and_headers", [
    (f"{ROOT}/visitors/client-3", {}),
    (f"{ROOT}/visitors/client-3", {"authorization": "Bearer old-kez"}),
    (f"{ROOT}/visitors/client-3", {"authorization": "Bearer "}),
    (f"{ROOT}/visitors/client-3", {"authorization": "Basic new-key"}),
    (f"{ROOT}/visitors/client-3", {"authorization": "Bearer k\xe9y".encode("latin-1")}),
    (signed(f"{ROOT}/visitors/client-3", time.time(), secret=b"other"), {}),
    (signed(f"{ROOT}/visitors/client-3", time.time(), shop="other.myshopify.com"), {}),
    (signed(f"{ROOT}/visitors/client-3", time.time() - FRESH_SECONDS - 5), {}),
    (signed(f"{ROOT}/visitors/client-3", time.time() + 10 * FRESH_SECONDS), {}),
    (signed(f"{ROOT}/visitors/client-3", time.time()) + "&limit=5", {}),
    (signed(f"{ROOT}/visitors/client-3", time.time()) + "&signature=x", {}),
    (signed(f"{ROOT}/visitors/client-3", time.time()).replace("signature=", "signature=0"), {}),
    (f"{ROOT}/visitors/client-3?" + "&a=1" * 200, {}),
])  # fmt: skip
def test_whoever_cannot_prove_it_gets_no_visitors_list(ask, path_and_headers):
    path, headers = path_and_headers
    answer = ask(path, headers=headers)
    assert answer.status_code == 401
    assert set(answer.json()) == {"error", "remedy"}
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("timestamps", "says"),
    [([], "no timestamp"), (["1", "2"], "no timestamp"), (["soon"], "no timestamp"), (["²"], "no timestamp")],
)
def test_a_signature_without_one_timestamp_is_refused(ask, timestamps, says):
    fields = [("shop", SHOP), *(("timestamp", one) for one in timestamps)]
    fields.append(("signature", app_proxy_signature(fields, b"hush")))
    answer = ask(f"{ROOT}/visitors/client-3?{httpx.QueryParams(fields)}")
    assert answer.status_code == 401
    assert says in answer.json()["error"]


def test_without_secrets_no_visitors_list_is_given_out_and_the_answer_says_why(published):
    ask = Asking(published.folder.parent.parent, secrets=VisitorSecrets())
    for answer in (
        ask(f"{ROOT}/visitors/client-3", headers={"authorization": "Bearer "}),
        ask(signed(f"{ROOT}/visitors/client-3", time.time(), secret=b"")),
    ):
        assert answer.status_code == 401
        assert "PIXELNOVA_API_KEY" in answer.json()["error"]


# refusals


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{ROOT}/products/77/recommendations", 404),
        (f"{ROOT}/products/77/recommendations?placement=bought_together", 404),
        ("/v1/shops/other.myshopify.com/products/1001/recommendations", 404),
        ("/v1/shops/../trending", 404),
        ("/v1/shops/%2e%2e/trending", 404),
        (f"{ROOT}/popular?collection=777", 404),
        (f"{ROOT}/popular?vendor=Nobody", 404),
        (f"{ROOT}/nothing", 404),
        ("/", 404),
        (f"{ROOT}/trending/", 404),
        (f"{ROOT}/session", 405),
        (f"{ROOT}/products/1001/recommendations?placement=checkout", 422),
        (f"{ROOT}/products/1001/recommendations?limit=0", 422),
        (f"{ROOT}/products/1001/recommendations?limit=51", 422),
        (f"{ROOT}/products/1001/recommendations?limit=many", 422),
        (f"{ROOT}/products/1001/recommendations?exclude={'1,' * 2049}", 422),
        (f"{ROOT}/products/{'1' * 65}/recommendations", 422),
        (f"{ROOT}/popular?vendor=", 422),
        (f"{ROOT}/popular?vendor=Altona&type=Lamp", 422),
        (f"/v1/shops/{'x' * 256}/trending", 422),
    ],
)
def test_every_refusal_says_the_fact_and_the_remedy(ask, path, status):
    answer = ask(path)
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "remedy"}
    assert all(answer.json().values())
    assert answer.headers["cache-control"] == "no-store"


def test_what_goes_wrong_is_told_in_the_same_shape_and_no_visitor_is_logged(published, monkeypatch, caplog):
    def break_down(*_, **__):
        raise RuntimeError("a defect")

    monkeypatch.setattr(api_module, "_chosen", break_down)
    answer = Asking(published.folder.parent.parent)(f"{ROOT}/visitors/client-3", headers=KEY)
    assert answer.status_code == 500
    assert set(answer.json()) == {"error", "remedy"}
    assert "a defect" in caplog.text
    assert "client-3" not in caplog.text


# caches and browsers


def test_an_answer_that_is_known_is_not_sent_again(ask):
    path = f"{ROOT}/products/{SEED}/recommendations"
    first = ask(path)
    tag = first.headers["etag"]
    assert tag.startswith('"')
    assert first.headers["cache-control"] == "public, max-age=60, stale-while-revalidate=600"
    for given_tag in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        again = ask(path, headers={"if-none-match": given_tag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert ask(path, headers={"if-none-match": '"x"'}).status_code == 200


def test_an_etag_is_of_the_version_and_what_was_asked(ask, tmp_path, looks_at_once):
    path = f"{ROOT}/products/{SEED}/recommendations"
    queries = ["", "?limit=3", "?exclude=1002", "?placement=bought_together"]
    tags = [ask(path + query).headers["etag"] for query in queries]
    assert len(set(tags)) == len(tags)
    assert ask(f"{path}?exclude=1003,1002").headers["etag"] == ask(f"{path}?exclude=1002,1003").headers["etag"]
    write_version(tmp_path)
    asked = Asking(tmp_path)
    old = asked(path).headers["etag"]
    write_version(tmp_path)
    wait_until(lambda: asked(path, headers={"if-none-match": old}).status_code == 200)


def test_kept_answers_are_those_of_the_request(published):
    ask = Asking(published.folder.parent.parent)
    path = f"{ROOT}/products/{SEED}/recommendations"
    excluded = published.document(SHOP, SEED).placements["product_page"][0].product_id
    assert excluded not in ids(ask(f"{path}?exclude={excluded}"))
    assert excluded in ids(ask(path))
    for query in ("", "?limit=3", "?placement=viewed_together", "?exclude=1002", "?limit=12"):
        assert ask(path + query).content == ask(path + query).content
    assert ask(path).content == ask(f"{path}?limit=12").content
    assert len(ids(ask(f"{path}?limit=3"))) == 3
    assert ids(ask(f"{ROOT}/popular")) != ids(ask(f"{ROOT}/trending"))


def test_browsers_of_any_storefront_may_read_what_is_public(ask):
    origin = {"origin": "https://shop.example"}
    for path in (f"{ROOT}/trending", f"{ROOT}/nothing", f"{ROOT}/trending?limit=0"):
        assert ask(path, headers=origin).headers["access-control-allow-origin"] == "*"
    preflight = ask(f"{ROOT}/session", "OPTIONS", headers={**origin, "access-control-request-method": "POST"})
    assert preflight.status_code == 204
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "content-type" in preflight.headers["access-control-allow-headers"]
    assert preflight.headers["access-control-allow-origin"] == "*"


def test_browsers_of_other_sites_may_not_read_a_persons_list(ask):
    assert "access-control-allow-origin" not in ask(f"{ROOT}/visitors/client-3", headers=KEY).headers
    preflight = ask(f"{ROOT}/visitors/client-3", "OPTIONS")
    assert preflight.status_code == 405
    assert "access-control-allow-origin" not in preflight.headers


# operation


def test_health_names_what_is_served(ask, published):
    answer = ask("/healthz")
    assert answer.json() == {
        "version": published.folder.name,
        "model_version": published.manifest.model_version,
        "as_of": published.manifest.as_of,
    }


def test_while_nothing_is_published_every_answer_says_what_to_do(tmp_path, looks_at_once):
    ask = Asking(tmp_path)
    for answer in (
        ask("/healthz"),
        ask(f"{ROOT}/trending"),
        ask.session(["1"]),
        ask(f"{ROOT}/visitors/x", headers=KEY),
    ):
        assert answer.status_code == 503
        assert "pixelnova refresh" in answer.json()["remedy"]
    assert ask("/metrics").status_code == 200
    write_version(tmp_path)
    assert ask("/healthz").status_code == 200
    assert len(ids(ask(f"{ROOT}/trending"))) == 12


def test_metrics_count_by_route_and_name_no_shopper(published):
    ask = Asking(published.folder.parent.parent)
    ask(f"{ROOT}/visitors/client-3", headers=KEY)
    ask(f"{ROOT}/visitors/client-4")
    ask(f"{ROOT}/trending")
    ask(f"{ROOT}/secret-path")
    text = ask("/metrics").text
    route = "/v1/shops/{shop}/visitors/{visitor_id}"
    assert f'pixelnova_api_requests_total{{route="{route}",status="200"}} 1.0' in text
    assert f'pixelnova_api_requests_total{{route="{route}",status="401"}} 1.0' in text
    assert 'pixelnova_api_requests_total{route="/v1/shops/{shop}/trending",status="200"} 1.0' in text
    assert 'pixelnova_api_requests_total{route="none",status="404"} 1.0' in text
    assert 'pixelnova_api_request_seconds_count{route="/v1/shops/{shop}/trending"} 1.0' in text
    assert f'pixelnova_api_served_version{{version="{published.folder.name}"}} 1.0' in text
    assert f'pixelnova_api_items{{shop="{SHOP}"}} {PRODUCTS}.0' in text
    assert "client-" not in text
    assert "secret-path" not in text


def test_an_address_that_asks_too_often_is_told_to_wait(published, monkeypatch):
    ask = Asking(published.folder.parent.parent, requests_per_second=3)
    second = [1_800_000_000.0]
    monkeypatch.setattr("limits.storage.memory.time.time", lambda: second[0])
    assert [ask(f"{ROOT}/trending").status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    refused = ask.session(["1001"])
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert set(refused.json()) == {"error", "remedy"}
    assert refused.headers["access-control-allow-origin"] == "*"
    assert ask("/healthz").status_code == 200
    assert ask(f"{ROOT}/trending", address="192.0.2.2").status_code == 200
    second[0] += 2
    assert ask(f"{ROOT}/trending").status_code == 200


def test_the_addresses_of_one_network_of_ipv6_count_as_one(published, monkeypatch):
    ask = Asking(published.folder.parent.parent, requests_per_second=1)
    monkeypatch.setattr("limits.storage.memory.time.time", lambda: 1_800_000_000.0)
    addresses = [
        "2001:db8::1",
        "2001:db8::2",
        "2001:db8:0:1::1",
        "::ffff:192.0.2.1",
        "::ffff:192.0.2.2",
        "fe80::1%eth0",
    ]
    assert [ask(f"{ROOT}/trending", address=one).status_code for one in addresses] == [200, 429, 200, 200, 200, 200]


def test_zero_requests_a_second_is_no_limit(published):
    ask = Asking(published.folder.parent.parent, requests_per_second=0)
    assert {ask(f"{ROOT}/trending").status_code for _ in range(100)} == {200}


# versions that come and go


def test_a_version_that_cannot_be_read_leaves_the_one_before_in_place(tmp_path, looks_at_once, caplog):
    first = write_version(tmp_path, seed=1)
    ask = Asking(tmp_path)
    assert ask("/healthz").json()["version"] == first.folder.name
    broken = write_version(tmp_path, seed=2)
    (broken.folder / shop_folder(SHOP) / "catalogue.json").write_bytes(b'{"half": ')
    ask("/healthz")
    wait_until(lambda: broken.folder.name in caplog.text)
    for _ in range(5):
        assert ask(f"{ROOT}/trending").json()["version"] == first.folder.name
    assert caplog.text.count(broken.folder.name) == 1  # it is not tried again at once
    third = write_version(tmp_path, seed=3)
    wait_until(lambda: ask("/healthz").json()["version"] == third.folder.name)


def test_documents_of_a_newer_schema_are_not_guessed_at(tmp_path, looks_at_once, caplog):
    published = write_version(tmp_path)
    file = published.folder / shop_folder(SHOP) / "catalogue.json"
    file.write_bytes(msgspec.json.encode({**json.loads(file.read_bytes()), "schema": 2}))
    assert Asking(tmp_path)("/healthz").status_code == 503
    assert "schema 2" in caplog.text


@pytest.mark.parametrize("path", [*PATHS, f"{ROOT}/session"])
def test_a_version_that_is_removed_is_replaced_by_the_next_within_the_request(tmp_path, path, monkeypatch):
    first = write_version(tmp_path, seed=1)
    monkeypatch.setattr(api_module, "LOOK_SECONDS", 3600.0)  # nothing but the missing file tells of the switch
    ask = Asking(tmp_path)
    ask("/healthz")
    second = write_version(tmp_path, seed=2)
    in_memory = any(part in path for part in ("popular", "trending", WITHOUT_DOCUMENT, "nobody"))
    catalogue = catalogue_of(first if in_memory else second)
    shutil.rmtree(first.folder)
    answer = ask.session([SEED]) if path.endswith("/session") else ask(path, headers=KEY)
    assert answer.status_code == 200
    assert broken_laws(answer.json(), catalogue, set(), 12) == []


def test_a_version_that_is_removed_while_there_is_no_other_is_no_failure_of_the_api(tmp_path, looks_at_once):
    published = write_version(tmp_path)
    ask = Asking(tmp_path)
    ask("/healthz")
    shutil.rmtree(published.folder)
    answer = ask(f"{ROOT}/products/{SEED}/recommendations")
    assert answer.status_code == 503
    assert "pixelnova publish" in answer.json()["remedy"]
    assert ask(f"{ROOT}/trending").status_code == 200  # that is in memory


@contextlib.contextmanager
def served(data: Path, workers: int = 1):
    """The API as the command runs it; its address."""
    code = (
        "import sys; from pathlib import Path; from serving.api import serve\n"
        "if __name__ == '__main__': serve('127.0.0.1', 0, Path(sys.argv[1]), int(sys.argv[2]), 0)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, data, str(workers)],
        cwd=PROJECT,
        env={**os.environ, "PIXELNOVA_API_KEY": "new-key"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        assert line.startswith("Pixelnova API listening on http://127.0.0.1:"), process.communicate()
        yield line.split()[-1], process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_server_says_where_it_listens_answers_and_ends_when_asked(tmp_path, workers):
    published = write_version(tmp_path)
    with served(tmp_path, workers) as (url, process):
        assert httpx.get(f"{url}/healthz").json()["version"] == published.folder.name
        assert httpx.get(f"{url}{ROOT}/visitors/client-1", headers=KEY).json()["strategy"] == "for_you"
        for _ in range(20):
            assert httpx.get(f"{url}{ROOT}/trending").status_code == 200
        count = 'pixelnova_api_requests_total{route="/v1/shops/{shop}/trending",status="200"} 20.0'
        assert count in httpx.get(f"{url}/metrics").text
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
        assert process.stderr.read() == ""


def test_a_port_that_is_taken_is_named_with_the_remedy(tmp_path):
    with served(tmp_path) as (url, _), pytest.raises(CannotListen, match="another port"):
        serve("127.0.0.1", int(url.rpartition(":")[2]), tmp_path)


def test_every_answer_is_of_one_version_while_versions_come_and_go(tmp_path):
    """Versions differ in their products' data and in every list. Real publishing deletes the old one much later, and
    leaves more time: here a version has hardly been read when the next one comes, so that most files are read late."""
    catalogues, pages, answers, errors, seen = {}, {}, [], [], set()
    products = 200

    def publish(seed: int) -> Published:
        published = write_version(tmp_path, products=products, seed=seed)
        catalogues[published.folder.name] = catalogue_of(published)
        for shard in (published.folder / shop_folder(SHOP) / "products").iterdir():
            for product_id, document in json.loads(shard.read_bytes())["products"].items():
                page = [item["product_id"] for item in document["placements"]["product_page"]]
                pages[published.folder.name, product_id] = (document["seed"], page)
        return published

    def switch_to(version: str) -> None:
        link = tmp_path / "next"
        link.symlink_to(version)
        link.replace(tmp_path / "published" / "current")

    coming = [publish(seed).folder for seed in range(9)]
    switch_to(coming[0].name)
    done = threading.Event()

    async def storm(url: str, number: int) -> None:
        async with httpx.AsyncClient(base_url=url, headers=KEY, timeout=30) as client:
            turn = number * 50
            while not done.is_set():
                turn += 1
                product = str(FIRST_PRODUCT + turn * 7 % (products - 1))
                if turn % 4 == 0:
                    viewed = [product, str(FIRST_PRODUCT + turn % 30)]
                    answer = await client.post(f"{ROOT}/session", json={"products": viewed})
                elif turn % 4 == 1:
                    viewed = []
                    answer = await client.get(PATHS[turn % len(PATHS)])
                else:
                    viewed = [product]
                    answer = await client.get(f"{ROOT}/products/{product}/recommendations")
                (answers if answer.status_code == 200 else errors).append((answer, set(viewed)))
                seen.add(answer.json().get("version"))

    async def storms(url: str) -> None:
        await asyncio.gather(*(storm(url, number) for number in range(8)))

    with served(tmp_path) as (url, _):
        asking = threading.Thread(target=lambda: asyncio.run(storms(url)))
        asking.start()
        try:
            for before, latest in pairwise(coming):
                wait_until(partial(seen.__contains__, before.name))
                switch_to(latest.name)
                shutil.rmtree(before)
            wait_until(partial(seen.__contains__, latest.name))
        finally:
            done.set()
            asking.join()
    assert errors == []
    assert seen == set(catalogues)
    for answer, banned in answers:
        content = answer.json()
        assert broken_laws(content, catalogues[content["version"]], banned, 12) == []
        if content.get("placement") == "product_page" and (
            page := pages.get((content["version"], content["seed"]["product_id"]))
        ):
            assert (content["seed"], ids(answer)) == page


# the law


@settings(max_examples=40, deadline=None)
@given(data=st.data(), products=st.integers(1, 30), seed=st.integers(0, 10_000), faulty=st.booleans())
def test_no_answer_holds_an_item_that_may_not_be_shown_whatever_was_published(data, products, seed, faulty):
    known = [str(FIRST_PRODUCT + number) for number in range(products)] + [HIDDEN]
    some = st.lists(st.sampled_from([*known, "unknown"]), max_size=len(known) + 1)
    with TemporaryDirectory() as folder:
        published = write_version(Path(folder), products=products, seed=seed, sessions=30, faulty=faulty)
        ask, catalogue = Asking(Path(folder)), catalogue_of(published)
        for _ in range(6):
            excluded, limit = data.draw(some), data.draw(st.integers(1, 50))
            query = f"limit={limit}&exclude={','.join(excluded)}"
            product = data.draw(st.sampled_from(known))
            viewed = data.draw(some.filter(bool))[:50]
            placement = data.draw(st.sampled_from(["product_page", "bought_together", "viewed_together"]))
            answered = [
                (ask(f"{ROOT}/products/{product}/recommendations?placement={placement}&{query}"), {product}),
                (ask(f"{ROOT}/popular?{query}"), set()),
                (ask(f"{ROOT}/popular?collection=501&{query}"), set()),
                (ask(f"{ROOT}/trending?{query}"), set()),
                (ask(f"{ROOT}/visitors/client-1?{query}", headers=KEY), set()),
                (ask.session(viewed, limit=limit, exclude=excluded), set(viewed)),
            ]
            for answer, seeds in answered:
                assert answer.status_code == 200, answer.text
                assert broken_laws(answer.json(), catalogue, {*seeds, *excluded}, limit) == []


def test_a_list_that_could_be_filled_is_full(tmp_path):
    published = write_version(tmp_path, faulty=True)
    catalogue, ask = catalogue_of(published), Asking(tmp_path)
    assert catalogue["max_per_group"] == MAX_PER_GROUP
    popular = [item.product_id for item in published.lists(SHOP).popular]
    excluded = popular[:5]
    answer = ask(f"{ROOT}/products/{SEED}/recommendations?limit=50&exclude={','.join(excluded)}")
    shown = set(ids(answer))
    groups = Counter(catalogue["diversity"].get(one) for one in shown)
    for one in popular:
        if one in catalogue["products"] and one not in {*shown, *excluded, SEED}:
            assert groups[catalogue["diversity"][one]] == MAX_PER_GROUP


# the description


@pytest.fixture(scope="module")
def description(ask):
    return schemathesis.openapi.from_asgi("/openapi.json", ask.app)


@pytest.mark.parametrize(
    ("route", "mode"),
    [
        *((route, GenerationMode.POSITIVE) for route in ROUTES),
        *((route, GenerationMode.NEGATIVE) for route in ROUTES if "{" in route),  # others have nothing to be wrong
    ],
)
def test_answers_are_as_the_description_says(description, route, mode):
    """Valid requests, and requests that are wrong in some way; to a shop that there is, and to random ones."""
    method, _, path = route.partition(" ")
    existing = {"shop": SHOP, "product_id": SEED, "visitor_id": "client-1"}
    operation = description[path][method]
    to_existing = operation.as_strategy(
        mode, path_parameters={name: value for name, value in existing.items() if f"{{{name}}}" in path}
    )
    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
    statuses = set()

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=st.one_of(to_existing, operation.as_strategy(mode)))
    def check(case):
        answer = case.call_and_validate(headers=KEY, checks=checks)
        statuses.add(answer.status_code)

    check()
    assert (200 if mode is GenerationMode.POSITIVE else 422) in statuses


def test_the_description_names_every_route_and_the_shape_of_every_refusal(ask):
    described = ask("/openapi.json").json()
    assert {f"{method} {path}" for path, item in described["paths"].items() for method in item} == set(ROUTES)
    for path, item in described["paths"].items():
        for operation in item.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert response["content"]["application/json"]["schema"] == {
                        "$ref": "#/components/schemas/Refusal"
                    }, path
