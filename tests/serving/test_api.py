import base64
import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.api.session_neighbours import SessionNeighbours, ViewedTogether, blend, combined_lists
from serving.published import Published, private_folder
from tests.serving.conftest import (
    HIDDEN,
    KEY,
    PRODUCTS,
    ROOT,
    SEED,
    WITHOUT_DOCUMENT,
    Asking,
    catalogue_of,
    codes,
    ids,
    violations,
)
from tests.serving.published_version import FIRST_PRODUCT, MAX_PER_GROUP, SHOP, write_version

# products


def test_product_page_equals_published_document(ask, published):
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


def test_limit_and_exclude_on_product_page(ask):
    path = f"{ROOT}/products/{SEED}/recommendations"
    first = ids(ask(path))
    assert ids(ask(f"{path}?limit=3")) == first[:3]
    rest = ask(f"{path}?limit=3&exclude={first[0]},%20{first[2]},,unknown")
    assert ids(rest) == [first[1], *first[3:5]]
    assert [item["position"] for item in rest.json()["items"]] == [1, 2, 3]
    assert rest.content == ask(f"{path}?limit=3&exclude={first[0]}&exclude={first[2]}").content
    assert ask(f"{path}?exclude={'1,' * 2049}").status_code == 422


def test_product_page_is_filled_up_with_popular_products(ask, published):
    answer = ask(f"{ROOT}/products/{SEED}/recommendations?limit=50")
    assert codes(answer)[:12] == ["similar"] * 12
    assert set(codes(answer)[12:]) == {"popular"}
    assert violations(answer.json(), catalogue_of(published), {SEED}, 50) == []


@pytest.mark.parametrize("placement", ["bought_together", "viewed_together"])
def test_together_placements_are_not_filled_up(ask, published, placement):
    documents = [published.document(SHOP, str(FIRST_PRODUCT + number)) for number in range(PRODUCTS - 1)]
    document = next(one for one in documents if 0 < len(one.placements[placement]) <= 8)
    path = f"{ROOT}/products/{document.seed.product_id}/recommendations?placement={placement}"
    known = [item.product_id for item in document.placements[placement]]
    assert ids(ask(path)) == known
    assert ids(ask(f"{path}&exclude={','.join(known[1:])}")) == known[:1]
    assert ids(ask(f"{path}&exclude={','.join(known)}")) == []


def test_no_bought_together_returns_empty_list(ask, published):
    documents = [published.document(SHOP, str(FIRST_PRODUCT + number)) for number in range(PRODUCTS - 1)]
    seed = next(one.seed.product_id for one in documents if not one.placements["bought_together"])
    assert ids(ask(f"{ROOT}/products/{seed}/recommendations?placement=bought_together")) == []


def test_product_without_document_gets_popular_of_type_then_shop(ask, published):
    answer = ask(f"{ROOT}/products/{WITHOUT_DOCUMENT}/recommendations")
    kind = catalogue_of(published)["products"][WITHOUT_DOCUMENT]["type"]
    of_type = [item.product_id for item in published.lists(SHOP).types[kind] if item.product_id != WITHOUT_DOCUMENT]
    assert 0 < len(of_type) < 12
    assert ids(answer)[: len(of_type)] == of_type
    assert codes(answer) == ["popular_in_type"] * len(of_type) + ["popular"] * (12 - len(of_type))
    assert answer.json()["seed"]["product_id"] == WITHOUT_DOCUMENT


def test_ineligible_product_is_a_valid_seed(ask, published):
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
def test_popular_filtered_by_one_part_of_the_shop(ask, published, query, list_name, key):
    answer = ask(f"{ROOT}/popular?{query}")
    assert ids(answer) == [item.product_id for item in getattr(published.lists(SHOP), list_name)[key]]
    assert (answer.json()["list"], answer.json()["key"]) == (list_name, key)


def test_popular_and_trending_equal_published_lists(ask, published):
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


def test_session_body_overrides_query_limit_and_exclude(ask):
    in_body = ids(ask.session([SEED], limit=5))
    query = f"{ROOT}/session?limit=5&exclude={in_body[0]}"
    in_query = ids(ask(query, "POST", json={"products": [SEED]}))
    assert in_query[:4] == in_body[1:]
    assert len(in_query) == 5
    assert len(ids(ask(query, "POST", json={"products": [SEED], "limit": 2}))) == 2
    assert ask(f"{ROOT}/session?limit=0", "POST", json={"products": [SEED]}).status_code == 422


def test_shop_domain_is_case_insensitive(ask):
    path = f"/products/{SEED}/recommendations"
    assert ids(ask(f"{ROOT.upper().replace('/V1/SHOPS', '/v1/shops')}{path}")) == ids(ask(f"{ROOT}{path}"))


GID = "gid://shopify/Product/{}"


@pytest.mark.parametrize("slash", ["/", "%2F"])
def test_product_by_global_id(ask, slash):
    path = f"{ROOT}/products/{{}}/recommendations"
    assert ids(ask(path.format(GID.format(SEED).replace("/", slash)))) == ids(ask(path.format(SEED)))


@pytest.mark.parametrize(
    "query",
    [
        "exclude=gid://shopify/Product/{}",
        "exclude=gid%3A%2F%2Fshopify%2FProduct%2F{}",
        "exclude=gid://shopify/Product/{}%3Fcountry=DE",
        "exclude[]={}",
        "exclude%5B%5D={}&exclude%5B%5D=7",
        "exclude[0]=7&exclude[1]={}",
        'exclude=["7","{}"]',
        "exclude=[7,{}]",
        "exclude[]=gid://shopify/Product/{},7",
    ],
)
def test_exclude_accepts_every_notation(ask, query):
    first = ids(ask(f"{ROOT}/popular"))
    assert ids(ask(f"{ROOT}/popular?{query.format(first[0])}"))[0] == first[1]


def test_exclude_accepts_base64_global_id_and_handle(ask, published):
    first, second, third = ids(ask(f"{ROOT}/popular"))[:3]
    encoded = base64.b64encode(GID.format(first).encode()).decode()
    handle = catalogue_of(published)["products"][second]["handle"]
    assert ids(ask(f"{ROOT}/popular", params={"exclude": f"{encoded},{handle}"}))[0] == third


def test_session_accepts_global_ids(ask):
    excluded = ids(ask.session(["1001"]))[0]
    answer = ask.session([GID.format("1001")], exclude=[GID.format(excluded)])
    assert answer.json() == ask.session(["1001"], exclude=[excluded]).json()


@pytest.mark.parametrize(
    "query",
    [
        "exclude=[1001",
        'exclude={"id":1001}',
        "exclude=1001;1002",
        "exclude=1001 1002",
        "exclude=[[1001]]",
        "exclude=[null]",
        "exclude='1001'",
        "exclude=gid://shopify/Collection/1001",
        "exclude=gid://shopify/Product/",
    ],
)
def test_malformed_exclude_gets_422_with_the_expected_format(ask, query):
    answer = ask(f"{ROOT}/popular?{query}")
    assert answer.status_code == 422
    assert "exclude=4000,4001" in answer.json()["remedy"]


def test_unknown_parameter_gets_422_with_its_name(ask):
    answer = ask(f"{ROOT}/popular?exlude=1001&limit=3&n=2")
    assert answer.status_code == 422
    assert answer.json()["error"] == "Unknown parameter: exlude, n."
    assert answer.json()["remedy"] == "Known parameters: channel, collection, exclude, limit, segment, type, vendor."
    assert ask(f"{ROOT}/session?products=1001", "POST", json={"products": ["1001"]}).status_code == 422
    assert ask(f"{ROOT}/visitors/client-3?exlude=1001").status_code == 401  # without a key, nothing else is revealed
    assert ask(f"{ROOT}/visitors/client-3?exlude=1001", headers=KEY).status_code == 422
    in_body = ask.session(["1001"], exlude=["1002"])
    assert (in_body.status_code, "exlude" in in_body.json()["error"]) == (422, True)


def test_parameters_of_app_proxy_and_snippet_are_accepted(ask):
    proxied = "shop=x&logged_in_customer_id=&path_prefix=%2Fapps%2Fp&timestamp=1&signature=0"
    assert ids(ask(f"{ROOT}/popular?placement=popular&{proxied}")) == ids(ask(f"{ROOT}/popular"))
    assert ask("/healthz?probe=1").status_code == 200


def test_session_equals_blend_in_viewing_order(ask, published):
    viewed = ["1009", "1002", HIDDEN, "1003", "1004", "1030", "1005"]
    answer = ask.session(viewed, limit=50)
    in_session = [item for item in answer.json()["items"] if item["reason"]["code"] == "session"]
    score_by_id = dict(own_blend(published, viewed))
    assert len(in_session) > 5
    assert {item["product_id"]: item["score"] for item in in_session}.items() <= score_by_id.items()
    assert [item["score"] for item in in_session] == sorted((item["score"] for item in in_session), reverse=True)
    assert violations(answer.json(), catalogue_of(published), set(viewed), 50) == []
    assert ids(ask.session(viewed[::-1], limit=50)) != ids(answer)


def test_session_accepts_numeric_product_ids(ask):
    assert ask.session([1001, 1002]).json() == ask.session(["1001", "1002"]).json()


def test_session_of_unknown_products_gets_popular_list(ask, published):
    answer = ask.session(["nothing", "is", "known"])
    assert ids(answer) == [item.product_id for item in published.lists(SHOP).popular[:12]]


def test_session_exclude_removes_products(ask, published):
    first = ids(ask.session(["1001"]))
    excluded = first[:3]
    answer = ask.session(["1001"], exclude=[excluded[0], int(excluded[1]), excluded[2]])
    assert violations(answer.json(), catalogue_of(published), {"1001", *excluded}, 12) == []
    assert ids(answer)[0] == first[3]


def test_session_without_session_file_uses_lists_only(tmp_path):
    published = write_version(tmp_path)
    (published.folder / private_folder(SHOP) / "sessions.parquet").unlink()
    manifest = published.manifest
    manifest.files = [file for file in manifest.files if not file.path.endswith(".parquet")]
    (published.folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    answer = Asking(tmp_path).session(["1001", "1002"], limit=5)
    assert codes(answer)[0] == "session"
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
def test_malformed_session_body_gets_422(ask, body):
    answer = ask(f"{ROOT}/session", "POST", content=body)
    assert answer.status_code == 422
    assert set(answer.json()) == {"error", "remedy"}


def test_oversized_body_gets_413_with_or_without_content_length(ask):
    body = json.dumps({"products": ["1001"], "more": "x" * 16 * 1024}).encode()

    async def pieces():
        for start in range(0, len(body), 1000):
            yield body[start : start + 1000]

    assert ask(f"{ROOT}/session", "POST", content=body).status_code == 413
    assert ask(f"{ROOT}/session", "POST", content=pieces()).status_code == 413
    assert ask(f"{ROOT}/session", "POST", content=body[:10], headers={"content-length": "99999"}).status_code == 413


# eligibility


@settings(max_examples=25, deadline=None)
@given(data=st.data(), products=st.integers(1, 30), seed=st.integers(0, 10_000), faulty=st.booleans())
def test_no_response_contains_an_ineligible_item(data, products, seed, faulty):
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
                assert violations(answer.json(), catalogue, {*seeds, *excluded}, limit) == []


def test_list_is_filled_as_far_as_possible(tmp_path):
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
