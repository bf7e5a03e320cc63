"""Measures loads of a large shop, 50,000 products with 150,000 variants: a full bulk load, then incremental ones.

The fake Admin API runs in its own process and executes Shopify's schema for each of the 200,000 nodes, which takes
longer than the load; the time spent waiting for its bulk file is reported separately. Peak memory is that of the
loading process and its children.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ingestion.shops import load_shops
from ingestion.simulator.admin_api import AdminApi, Bucket, running_admin_api
from ingestion.simulator.admin_store import AdminStore
from tests.benchmarks.memory import peak_mb
from tests.conftest import PROJECT

PRODUCTS, VARIANTS = 50_000, 3
CHANGED = PRODUCTS // 100
DESCRIPTION = "<p>" + "A sentence about what it is made of, and by whom. " * 10 + "</p>"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def large_store(domain: str) -> AdminStore:
    """A store whose products were updated 30 seconds apart."""
    store = AdminStore(domain)
    for number in range(PRODUCTS):
        at = (BEGIN + timedelta(seconds=30 * number)).strftime("%Y-%m-%dT%H:%M:%SZ")
        product = {
            "__typename": "Product",
            "id": f"gid://shopify/Product/{number}",
            "title": f"Product {number}",
            "handle": f"product-{number}",
            "descriptionHtml": DESCRIPTION,
            "vendor": f"Vendor {number % 300}",
            "productType": f"Type {number % 50}",
            "tags": ["a", "b"],
            "status": "ACTIVE",
            "isGiftCard": False,
            "createdAt": at,
            "updatedAt": at,
            "publishedAt": at,
            "onlineStoreUrl": f"https://{domain}/products/product-{number}",
            "featuredMedia": None,
        }
        variants = [
            {
                "__typename": "ProductVariant",
                "id": f"gid://shopify/ProductVariant/{number * 10 + position}",
                "title": f"Size {position}",
                "sku": f"S-{number}-{position}",
                "position": position,
                "price": f"{number % 200 + position}.90",
                "compareAtPrice": None,
                "availableForSale": True,
                "inventoryQuantity": 5,
                "inventoryPolicy": "DENY",
                "inventoryItem": {"unitCost": {"amount": "1.50", "currencyCode": "USD"}},
                "createdAt": at,
                "updatedAt": at,
            }
            for position in range(1, VARIANTS + 1)
        ]
        store.add_product(product, variants)
    return store


def fake_api() -> None:
    """Serve until standard input ends; each line changes 1 % of the products."""
    shop = load_shops(PROJECT / "shops.toml")[0]
    store = large_store(shop.domain)
    with running_admin_api(AdminApi(store, "token", Bucket(maximum=1e9))) as url:
        print(url, flush=True)
        for _ in sys.stdin:
            at = BEGIN + timedelta(seconds=30 * PRODUCTS) + timedelta(days=1)
            for number in range(0, PRODUCTS, PRODUCTS // CHANGED):
                store.update_variant(
                    f"gid://shopify/Product/{number}",
                    f"gid://shopify/ProductVariant/{number * 10 + 1}",
                    at,
                    price="1.00",
                )
            print("changed", flush=True)


def load(data: Path, url: str) -> None:
    """Run one load like the asset; print its duration without the wait for the bulk operation."""
    from ingestion.data_folder import workspace
    from ingestion.sources import shopify_api
    from ingestion.sources.shopify import Settings, shopify_source
    from ingestion.sources.shopify_token import token_variable
    from ingestion.warehouse import open_pipeline

    waited = 0.0
    finished = shopify_api.AdminApi._finished

    def timed(api, operation_id):
        nonlocal waited
        began = time.perf_counter()
        try:
            return finished(api, operation_id)
        finally:
            waited += time.perf_counter() - began

    shopify_api.AdminApi._finished = timed
    shop = load_shops(PROJECT / "shops.toml")[0]
    environment = {token_variable(shop.domain): "token", shopify_api.URL_VARIABLE: url}
    apis = shopify_api.admin_apis([shop], environment)
    began, cpu = time.perf_counter(), time.process_time()
    info = open_pipeline("shopify", data).run(shopify_source(apis, Settings(workspace=workspace(data))))
    seconds = time.perf_counter() - began
    info.raise_on_failed_jobs()
    print(
        json.dumps(
            {
                "seconds": round(seconds - waited, 1),
                "cpu_seconds": round(time.process_time() - cpu, 1),
                "waited_for_shopify": round(waited, 1),
                "peak_mb": peak_mb(),
                "rows": rows(data),
            }
        ),
        flush=True,
    )


def rows(data: Path) -> dict[str, int]:
    """Row counts of the raw tables."""
    import duckdb

    from ingestion.data_folder import warehouse_file

    with duckdb.connect(str(warehouse_file(data)), read_only=True) as connection:
        return {
            table: connection.execute(f"select count(*) from raw_shopify.{table}").fetchone()[0]
            for table in ("products", "variants")
        }


def main() -> None:
    """Measure, and print a table."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--json", type=Path)
    arguments.add_argument("--fake-api", action="store_true")
    arguments.add_argument("--load", nargs=2)
    chosen = arguments.parse_args()
    if chosen.fake_api:
        fake_api()
        return
    if chosen.load:
        load(Path(chosen.load[0]), chosen.load[1])
        return
    this = [sys.executable, "-m", "tests.benchmarks.shopify"]
    server = subprocess.Popen([*this, "--fake-api"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    results = {}
    try:
        with tempfile.TemporaryDirectory() as data:
            url = server.stdout.readline().strip()
            for name in ("first load, bulk", "nothing changed", "1 % changed"):
                if name == "1 % changed":
                    print("change", file=server.stdin, flush=True)
                    server.stdout.readline()
                done = subprocess.run([*this, "--load", data, url], capture_output=True, text=True, env=os.environ)
                if done.returncode:
                    sys.exit(done.stderr)
                results[name] = json.loads(done.stdout.splitlines()[-1])
                print(name, results[name], flush=True)
    finally:
        server.stdin.close()
        server.wait(30)
    print("| run | seconds | CPU seconds | peak MB | rows added |\n|---|---|---|---|---|")
    before = 0
    for name, result in results.items():
        total = sum(result["rows"].values())
        cells = [result["seconds"], result["cpu_seconds"], result["peak_mb"], f"{total - before:,}"]
        print(f"| {name} | " + " | ".join(map(str, cells)) + " |")
        before = total
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
