import asyncio
import json
import shutil
import threading
from functools import partial
from itertools import pairwise

import httpx
import msgspec
import pytest

from serving.api import versions as api_versions
from serving.published import Published, shop_folder
from tests.serving.conftest import (
    KEY,
    PATHS,
    ROOT,
    SEED,
    WITHOUT_DOCUMENT,
    Asking,
    catalogue_of,
    ids,
    served,
    violations,
    wait_until,
)
from tests.serving.published_version import FIRST_PRODUCT, SHOP, write_version


def test_etag_depends_on_version_and_query(ask, tmp_path, looks_at_once):
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


@pytest.mark.parametrize("file", [f"{shop_folder(SHOP)}/catalogue.json", "manifest.json"])
@pytest.mark.parametrize("content", [b'{"half": ', None])
def test_unreadable_version_keeps_previous_one(tmp_path, looks_at_once, caplog, file, content):
    first = write_version(tmp_path, seed=1)
    ask = Asking(tmp_path)
    assert ask("/healthz").json()["version"] == first.folder.name
    broken = write_version(tmp_path, seed=2)
    (broken.folder / file).unlink()
    if content is not None:
        (broken.folder / file).write_bytes(content)
    ask("/healthz")
    wait_until(lambda: broken.folder.name in caplog.text)
    for _ in range(5):
        assert ask(f"{ROOT}/trending").json()["version"] == first.folder.name
    assert caplog.text.count(broken.folder.name) == 1  # it is not retried at once
    third = write_version(tmp_path, seed=3)
    wait_until(lambda: ask("/healthz").json()["version"] == third.folder.name)


def test_newer_schema_is_rejected(tmp_path, looks_at_once, caplog):
    published = write_version(tmp_path)
    file = published.folder / shop_folder(SHOP) / "catalogue.json"
    file.write_bytes(msgspec.json.encode({**json.loads(file.read_bytes()), "schema": 2}))
    assert Asking(tmp_path)("/healthz").status_code == 503
    assert "schema 2" in caplog.text


@pytest.mark.parametrize("path", [*PATHS, f"{ROOT}/session"])
def test_removed_version_is_replaced_within_the_request(tmp_path, path, monkeypatch):
    first = write_version(tmp_path, seed=1)
    monkeypatch.setattr(api_versions, "POLL_SECONDS", 3600.0)  # only the missing file reveals the switch
    ask = Asking(tmp_path)
    ask("/healthz")
    second = write_version(tmp_path, seed=2)
    in_memory = any(part in path for part in ("popular", "trending", WITHOUT_DOCUMENT, "nobody"))
    catalogue = catalogue_of(first if in_memory else second)
    shutil.rmtree(first.folder)
    answer = ask.session([SEED]) if path.endswith("/session") else ask(path, headers=KEY)
    assert answer.status_code == 200
    assert violations(answer.json(), catalogue, set(), 12) == []


def test_removed_only_version_gets_503(tmp_path, looks_at_once):
    published = write_version(tmp_path)
    ask = Asking(tmp_path)
    ask("/healthz")
    shutil.rmtree(published.folder)
    answer = ask(f"{ROOT}/products/{SEED}/recommendations")
    assert answer.status_code == 503
    assert "pixelnova publish" in answer.json()["remedy"]
    assert ask(f"{ROOT}/trending").status_code == 200  # it is in memory


def test_responses_are_consistent_while_versions_change(tmp_path):
    """Versions differ in product data and in every list. Unlike real publishing, each version is deleted as soon as the
    next one is current, so that most files are read after their version was removed."""
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

    coming = [publish(seed).folder for seed in range(6)]
    switch_to(coming[0].name)
    done = threading.Event()

    async def send_requests(url: str, number: int) -> None:
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

    async def send_concurrently(url: str) -> None:
        await asyncio.gather(*(send_requests(url, number) for number in range(8)))

    with served(tmp_path) as (url, _):
        asking = threading.Thread(target=lambda: asyncio.run(send_concurrently(url)))
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
        assert violations(content, catalogues[content["version"]], banned, 12) == []
        if content.get("placement") == "product_page" and (
            page := pages.get((content["version"], content["seed"]["product_id"]))
        ):
            assert (content["seed"], ids(answer)) == page
