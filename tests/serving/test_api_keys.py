"""API keys: only hashes are stored, one shop's key never opens another shop, and revocation works at once."""

import asyncio
import csv
import io
import stat

import httpx
import pytest

from serving.api import ApiSettings, create_api
from serving.api.keys import ApiKeys, KeysFileError, UnknownKey, add_key, keys_file, read_keys, revoke_key
from tests.questions import DEMO_SHOP

OTHER = "other.myshopify.com"
ROOT = f"/v1/shops/{DEMO_SHOP}"


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("PIXELNOVA_API_KEYS", str(tmp_path / "keys.json"))
    return keys_file(tmp_path)


@pytest.fixture
def ask(built_demo, file):
    """Ask the demo's API, with the text of a key."""
    transport = httpx.ASGITransport(app=create_api(built_demo.data, ApiSettings(0)), client=("203.0.113.7", 5000))

    async def get(path, key, **headers):
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            authorization = {} if key is None else {"authorization": f"Bearer {key}"}
            return await client.get(path, headers={**authorization, **headers})

    return lambda path, key, **headers: asyncio.run(get(path, key, **headers))


def test_only_a_hash_is_stored_in_a_private_file(file):
    key, text = add_key(file, DEMO_SHOP, ("analytics",))
    secret = text.rpartition("_")[2]
    assert len(secret) == 64 and secret not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert ApiKeys(file).find(text) == key
    assert ApiKeys(file).find(text[:-1] + ("0" if text[-1] != "0" else "1")) is None


def test_revoked_key_stops_working_at_once(ask, file):
    key, text = add_key(file, DEMO_SHOP, ("status",))
    assert ask(f"{ROOT}/status", text).status_code == 200
    revoke_key(file, key.id)
    assert ask(f"{ROOT}/status", text).status_code == 401
    with pytest.raises(UnknownKey):
        revoke_key(file, key.id)


@pytest.mark.parametrize(
    "path", ["status", "analytics/metrics", "analytics/visitors", "analytics/reports/funnel", "visitors/anybody"]
)
def test_key_of_another_shop_opens_nothing(ask, file, path):
    _, own = add_key(file, DEMO_SHOP, ("analytics", "status", "visitors"))
    _, foreign = add_key(file, OTHER, ("analytics", "status", "visitors"))
    assert ask(f"{ROOT}/{path}", own).status_code == 200
    refused = ask(f"{ROOT}/{path}", foreign)
    assert refused.status_code == 403
    assert refused.json() == {"error": "This API key is for another shop.", "remedy": "Use a key of this shop."}
    assert ask(f"/v1/shops/{OTHER}/{path}", own).status_code == 403
    for invalid in (None, "", "pxn_x", "pxn_00000000_00", own.upper()):
        assert ask(f"{ROOT}/{path}", invalid).status_code == 401


def test_scopes_addresses_and_rates_are_enforced(ask, file):
    _, status_only = add_key(file, DEMO_SHOP, ("status",))
    assert ask(f"{ROOT}/analytics/visitors", status_only).status_code == 403
    _, elsewhere = add_key(file, DEMO_SHOP, ("status",), allow=("198.51.100.0/24",))
    assert ask(f"{ROOT}/status", elsewhere).status_code == 403
    _, here = add_key(file, DEMO_SHOP, ("status",), allow=("203.0.113.0/24",), requests_per_minute=2)
    answers = [ask(f"{ROOT}/status", here) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[-1].headers["retry-after"]) >= 1


def test_numbers_are_private_to_browsers_and_caches(ask, file):
    _, text = add_key(file, DEMO_SHOP, ("analytics",))
    answer = ask(f"{ROOT}/analytics/visitors", text, origin="https://evil.example")
    assert answer.headers["cache-control"] == "private, no-store"
    assert "access-control-allow-origin" not in answer.headers


def test_malformed_file_and_address_name_the_remedy(file):
    with pytest.raises(KeysFileError, match="not an address"):
        add_key(file, DEMO_SHOP, ("status",), allow=("here",))
    file.write_text("[")
    with pytest.raises(KeysFileError, match="restore it"):
        read_keys(file)


def test_csv_has_the_rows_of_the_json(ask, file):
    _, text = add_key(file, DEMO_SHOP, ("analytics",))
    path = f"{ROOT}/analytics/sessions?by=date,device&compare=previous"
    rows = list(csv.DictReader(io.StringIO(ask(path, text, accept="text/csv").text)))
    values = ask(path, text).json()["values"]
    assert [[row["date"], row["device"], int(row["sessions"])] for row in rows] == [
        [*value["keys"], value["value"]] for value in values
    ]
    assert len(rows) > 28
