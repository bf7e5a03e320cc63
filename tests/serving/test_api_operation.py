import signal

import httpx
import pytest

from serving.api import routes, serve
from serving.listening import CannotListen, listen
from tests.serving.conftest import KEY, PRODUCTS, ROOT, SEED, Asking, ids, served
from tests.serving.published_version import SHOP, write_version

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

    monkeypatch.setattr(routes, "for_visitor", break_down)
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


def test_head_says_what_get_would(published):
    with served(published.folder.parent.parent) as (url, _):
        for path in (f"{ROOT}/popular", "/healthz", f"{ROOT}/popular?limit=0"):
            said, told = httpx.get(url + path, trust_env=False), httpx.head(url + path, trust_env=False)
            assert (told.status_code, told.content) == (said.status_code, b"")
            assert told.headers["content-length"] == said.headers["content-length"]


def test_browsers_of_any_storefront_may_read_what_is_public(ask):
    origin = {"origin": "https://shop.example"}
    for path in (f"{ROOT}/trending", f"{ROOT}/nothing", f"{ROOT}/trending?limit=0"):
        assert ask(path, headers=origin).headers["access-control-allow-origin"] == "*"
    preflight = ask(f"{ROOT}/session", "OPTIONS", headers={**origin, "access-control-request-method": "POST"})
    assert preflight.status_code == 204
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "content-type" in preflight.headers["access-control-allow-headers"]
    assert preflight.headers["access-control-allow-origin"] == "*"


# health, metrics, limits


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


# as the command runs it


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


def test_a_port_that_is_taken_is_named_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # pytest's own handlers stay
    with listen("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(CannotListen, match="another port"):
            serve("127.0.0.1", taken.getsockname()[1], tmp_path)
