import time

import httpx
import msgspec
import pytest

from serving.api.visitor_access import FRESH_SECONDS, VisitorSecrets, app_proxy_signature
from serving.published import VisitorShard, private_folder, shard_name
from tests.serving.conftest import KEY, ROOT, Asking, catalogue_of, codes, ids, violations
from tests.serving.published_version import SHOP, write_version


def signed(path: str, timestamp: float, secret: bytes = b"hush", shop: str = SHOP, **fields: str) -> str:
    """A path as Shopify's app proxy requests it."""
    query = {**fields, "shop": shop, "path_prefix": "/apps/pixelnova", "timestamp": str(int(timestamp))}
    query["signature"] = app_proxy_signature(list(query.items()), secret)
    return f"{path}?{httpx.QueryParams(query)}"


def test_visitor_by_journey_id_and_client_id(ask, published):
    by_journey = ask(f"{ROOT}/visitors/journey-3", headers=KEY)
    by_client = ask(f"{ROOT}/visitors/client-3", headers=KEY)
    assert by_journey.json() == by_client.json()
    assert by_client.json()["strategy"] == "for_you"
    assert codes(by_client)[0] == "for_you"
    assert by_client.json()["segment"] in ("champions", "new")
    assert "client-3" not in by_client.text
    assert by_client.headers["cache-control"] == "private, no-store"
    assert "etag" not in by_client.headers
    assert violations(by_client.json(), catalogue_of(published), set(), 12) == []


def test_unknown_visitor_gets_popular_list(ask, published):
    answer = ask(f"{ROOT}/visitors/nobody", headers=KEY)
    assert answer.json()["strategy"] == "popular"
    assert ids(answer) == [item.product_id for item in published.lists(SHOP).popular[:12]]


def test_signature_matches_shopifys_example():
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


def test_valid_signature_returns_visitor_list(ask):
    answer = ask(signed(f"{ROOT}/visitors/client-3", time.time(), limit="4", exclude="1,2"))
    assert ids(answer) == ids(ask(f"{ROOT}/visitors/client-3?limit=4", headers=KEY))
    assert (len(ids(answer)), answer.json()["strategy"]) == (4, "for_you")
    assert answer.headers["cache-control"] == "private, no-store"


@pytest.mark.parametrize("visitor_id", ["journey-3", "nobody"])
def test_signature_with_guessable_journey_id_gets_popular_list(ask, published, visitor_id):
    answer = ask(signed(f"{ROOT}/visitors/{visitor_id}", time.time()))
    assert (answer.json()["strategy"], answer.json()["segment"], answer.json()["channel"]) == ("popular", None, None)
    assert ids(answer) == [item.product_id for item in published.lists(SHOP).popular[:12]]


def test_client_id_equal_to_a_journey_id_returns_own_list(tmp_path):
    published = write_version(tmp_path)
    shard = published.folder / private_folder(SHOP) / "visitors" / shard_name("journey-3")
    visitors = msgspec.json.decode(shard.read_bytes(), type=VisitorShard)
    visitors.clients["journey-3"] = "journey-4"  # a client id chosen by the browser
    shard.write_bytes(msgspec.json.encode(visitors))
    ask = Asking(tmp_path)
    by_key = {number: ids(ask(f"{ROOT}/visitors/journey-{number}", headers=KEY)) for number in (3, 4)}
    assert ids(ask(signed(f"{ROOT}/visitors/journey-3", time.time()))) == by_key[4] != by_key[3]


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
def test_unauthorized_visitor_request_gets_401(ask, path_and_headers):
    path, headers = path_and_headers
    answer = ask(path, headers=headers)
    assert answer.status_code == 401
    assert set(answer.json()) == {"error", "remedy"}
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("timestamps", "error"),
    [([], "no timestamp"), (["1", "2"], "no timestamp"), (["soon"], "no timestamp"), (["²"], "no timestamp")],
)
def test_signature_needs_exactly_one_timestamp(ask, timestamps, error):
    fields = [("shop", SHOP), *(("timestamp", one) for one in timestamps)]
    fields.append(("signature", app_proxy_signature(fields, b"hush")))
    answer = ask(f"{ROOT}/visitors/client-3?{httpx.QueryParams(fields)}")
    assert answer.status_code == 401
    assert error in answer.json()["error"]


def test_visitor_lists_are_disabled_without_secrets(published):
    ask = Asking(published.folder.parent.parent, secrets=VisitorSecrets())
    for answer in (
        ask(f"{ROOT}/visitors/client-3", headers={"authorization": "Bearer "}),
        ask(signed(f"{ROOT}/visitors/client-3", time.time(), secret=b"")),
    ):
        assert answer.status_code == 401
        assert "PIXELNOVA_API_KEY" in answer.json()["error"]
        assert "pixelnova keys add --scope visitors" in answer.json()["remedy"]
    answer = ask(f"{ROOT}/visitors/client-3", headers={"authorization": "Bearer revoked"})
    assert answer.status_code == 401 and "invalid" in answer.json()["error"]


def test_visitor_lists_have_no_cors_headers(ask):
    assert "access-control-allow-origin" not in ask(f"{ROOT}/visitors/client-3", headers=KEY).headers
    preflight = ask(f"{ROOT}/visitors/client-3", "OPTIONS")
    assert preflight.status_code == 405
    assert "access-control-allow-origin" not in preflight.headers
