import signal

import httpx
import pytest

from serving.api import routes, serve
from serving.listening import CannotListen, listen
from tests.serving.conftest import KEY, PRODUCTS, ROOT, SEED, Asking, ids, served
from tests.serving.published_version import SHOP, write_version

# errors


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
def test_every_error_has_fact_and_remedy(ask, path, status):
    answer = ask(path)
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "remedy"}
    assert all(answer.json().values())
    assert answer.headers["cache-control"] == "no-store"


def test_internal_error_has_same_shape_and_logs_no_visitor(published, monkeypatch, caplog):
    def break_down(*_, **__):
        raise RuntimeError("a bug")

    monkeypatch.setattr(routes, "for_visitor", break_down)
    answer = Asking(published.folder.parent.parent)(f"{ROOT}/visitors/client-3", headers=KEY)
    assert answer.status_code == 500
    assert set(answer.json()) == {"error", "remedy"}
    assert "a bug" in caplog.text
    assert "client-3" not in caplog.text


# caches and browsers


def test_matching_etag_gets_304(ask):
    path = f"{ROOT}/products/{SEED}/recommendations"
    first = ask(path)
    tag = first.headers["etag"]
    assert tag.startswith('"')
    assert first.headers["cache-control"] == "public, max-age=60, stale-while-revalidate=600"
    for given_tag in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        again = ask(path, headers={"if-none-match": given_tag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert ask(path, headers={"if-none-match": '"x"'}).status_code == 200


def test_cached_responses_match_their_requests(published):
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


def test_head_has_headers_of_get(published):
    with served(published.folder.parent.parent) as (url, _):
        for path in (f"{ROOT}/popular", "/healthz", f"{ROOT}/popular?limit=0"):
            got, head = httpx.get(url + path, trust_env=False), httpx.head(url + path, trust_env=False)
            assert (head.status_code, head.content) == (got.status_code, b"")
            assert head.headers["content-length"] == got.headers["content-length"]


def test_public_routes_allow_any_origin(ask):
    origin = {"origin": "https://shop.example"}
    for path in (f"{ROOT}/trending", f"{ROOT}/nothing", f"{ROOT}/trending?limit=0"):
        assert ask(path, headers=origin).headers["access-control-allow-origin"] == "*"
    preflight = ask(f"{ROOT}/session", "OPTIONS", headers={**origin, "access-control-request-method": "POST"})
    assert preflight.status_code == 204
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "content-type" in preflight.headers["access-control-allow-headers"]
    assert preflight.headers["access-control-allow-origin"] == "*"


# health, metrics, limits


def test_healthz_returns_served_version(ask, published):
    answer = ask("/healthz")
    assert answer.json() == {
        "version": published.folder.name,
        "model_version": published.manifest.model_version,
        "as_of": published.manifest.as_of,
    }


def test_503_with_remedy_until_first_publication(tmp_path, looks_at_once):
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


def test_metrics_count_by_route_without_shopper_data(published):
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


def test_rate_limited_address_gets_429_with_retry_after(published, monkeypatch):
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


def test_rate_limit_counts_an_ipv6_network_as_one_address(published, monkeypatch):
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


def test_zero_requests_per_second_is_unlimited(published):
    ask = Asking(published.folder.parent.parent, requests_per_second=0)
    assert {ask(f"{ROOT}/trending").status_code for _ in range(100)} == {200}


# in a server process


@pytest.mark.parametrize("workers", [1, 2])
def test_server_prints_address_serves_and_stops_on_sigterm(tmp_path, workers):
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


def test_port_conflict_raises_error_with_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # pytest's own handlers stay
    with listen("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(CannotListen, match="another port"):
            serve("127.0.0.1", taken.getsockname()[1], tmp_path)
