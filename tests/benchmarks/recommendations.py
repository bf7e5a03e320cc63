"""Measures the recommendations: prediction quality, cost of building them, and speed of the read API.

Four parts, each step in its own process; every figure of a part comes from one run over the same data.
sessions: predicts the next click in Yoochoose's sessions, with the lists of the browser, the batch and the read API.
retail: predicts the rest of an Online Retail basket and a customer's new products, compared with `implicit`. speed: 3
million generated events, built in full, with 1 % more, with none. api: the server under wrk, while versions switch.
"""

import argparse
import contextlib
import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.benchmarks.generated_events import write_landing_files
from tests.benchmarks.memory import peak_mb
from tests.child_process import free_port
from tests.conftest import PROJECT

SHARED = Path(os.environ.get("PIXELNOVA_SHARED_DATA", PROJECT / ".." / "shared" / "data")).resolve()
CLICKS = SHARED / "rsc15_100k"
RETAIL = SHARED / "online_retail" / "online_retail.parquet"
SHOP = "benchmark.myshopify.com"
SHOPS = """[[shops]]
domain = "{shop}"
name = "Benchmark"
timezone = "{timezone}"
currency = "GBP"
ingest_keys = ["key-of-the-benchmark"]
"""
TARGETS = {
    "lists, as a browser combines them": (0.67, 0.355),
    "SQL batch blend": (0.69, 0.37),
    "read API's blend": (0.69, 0.37),
}
CUTOFF = 20  # of the next click
SHOWN = 10  # of a basket and a customer
# As in session-rec: sessions come from the data, no decay, no bot detection.
AS_SESSION_REC = {
    "session_gap_minutes": 10_000_000,
    "bot_session_hours": 1_000_000,
    "bot_page_views": 1_000_000,
    "max_session_views": 1_000_000,
    "view_window_days": 10_000,
    "view_half_life_days": 0,
}
ASSOCIATIONS = {
    "ar": {"view_distance_power": 0, "max_view_distance": 1_000_000, "backward_view_weight": 1},
    "sr": {"view_distance_power": 2, "max_view_distance": 20, "backward_view_weight": 0},
}
RETAIL_SPLIT = "2011-11-01"
BASKET_CAPS = (50, 100, 100_000)  # the first is the project's default
EVENTS, NEWS, PRODUCTS = 3_000_000, 30_000, 20_000
MEMORY = "600MB"  # DuckDB's limit, so that the process stays under 1 GB
MEMORY_ELSEWHERE = "3GB"
LISTS = ["--select", "intermediate.recommendations", "marts.recommendations"]
TRIALS = ["int_evaluation_cases", "int_evaluation_ranks", "evaluation"]
API_PRODUCTS = 5_000
API_SECONDS, SWITCH_SECONDS = 30, 5
API_LOADS = (  # workers, connections, requests a second or 0 for no limit, whether versions switch
    (2, 16, 1250, True),
    (2, 16, 1250, False),
    (2, 4, 0, True),
    (1, 16, 1250, True),
    (1, 4, 0, True),
)
EASE_SIZES = (4_000, 10_000)

Figures = dict[str, Any]


# Shared by the parts


def warehouse_of(data: Path, timezone: str | None = None) -> Any:
    """The warehouse in a data folder; created with its shop if a timezone is given."""
    from tests.warehouse import Warehouse

    if timezone:
        data.mkdir(parents=True)
        shops = data / "shops.toml"
        shops.write_text(SHOPS.format(shop=SHOP, timezone=timezone))
        return Warehouse(data, shops)
    return Warehouse(data, data / "shops.toml", load=False)  # its other sources were loaded on creation


def build(data: Path, *arguments: str, **variables: Any) -> list[Any]:
    """Build dbt's models, without tests, in a target folder separate from that of the tests."""
    words = ["--vars", json.dumps(variables)] if variables else []
    return warehouse_of(data).build("--target-path", str(data.parent / "target"), *words, *arguments)


def land_received(data: Path, events: Iterable[dict[str, Any]]) -> None:
    """Land events as if received one second after they happened, so that as_of is close to the last one."""
    from ingestion.data_folder import landing_folder
    from tests.landing_files import land, line

    def lines() -> Iterator[bytes]:
        for number, event in enumerate(events):
            received_at = datetime.fromisoformat(event["timestamp"]).astimezone(UTC) + timedelta(seconds=1)
            yield line(event, shop=SHOP, request_id=f"r{number}", received_at=received_at)

    land(landing_folder(data), lines())


def recommend_and_publish(data: Path) -> Any:
    """Run the two steps of a refresh that follow dbt: recommend and publish."""
    from serving.publish import publish
    from serving.recommenders.personal import recommend

    recommend(warehouse_of(data).file)
    return publish(warehouse_of(data).file, data)


def execution_seconds(results: Iterable[Any]) -> Figures:
    """dbt's timings of models: their sum, the span from first start to last end, and the slowest.

    Two models run in parallel on two cores, so the sum exceeds the time of a sequential run.
    """
    models = [result for result in results if result.node.resource_type == "model"]
    timings = [timing for model in models for timing in model.timing if timing.name == "execute"]
    begun, ended = [timing.started_at for timing in timings], [timing.completed_at for timing in timings]
    slowest = sorted(models, key=lambda result: -result.execution_time)[:8]
    return {
        "models": len(models),
        "execution_seconds": round(sum(result.execution_time for result in models), 2),
        "span_seconds": round((max(ended) - min(begun)).total_seconds(), 2) if timings else 0,
        "slowest": {result.node.name: round(result.execution_time, 2) for result in slowest},
    }


def of_recommendations(results: Iterable[Any]) -> list[Any]:
    return [result for result in results if "/recommendations/" in f"/{result.node.original_file_path}"]


def without_trials(results: Iterable[Any]) -> list[Any]:
    return [result for result in results if result.node.name not in TRIALS]


# sessions


def clicks(name: str) -> list[tuple[str, list[str]]]:
    """Sessions of session-rec's split and their products, in time order."""
    sessions: dict[int, list[tuple[float, str]]] = defaultdict(list)
    with (CLICKS / f"yoochoose-clicks-100k_{name}.txt").open() as file:
        next(file)
        for row in file:
            session, product, seconds = row.split()
            sessions[int(session)].append((float(seconds), product))
    return [
        (str(session), [product for _, product in sorted(views, key=lambda view: view[0])])
        for session, views in sorted(sessions.items())
    ]


def next_clicks() -> list[tuple[str, list[str], str]]:
    """Every event of a test session except the first: (case, previous views, next view)."""
    return [
        (f"{session}/{place}", views[:place], views[place])
        for session, views in clicks("test")
        for place in range(1, len(views))
    ]


def hits(found: Iterable[tuple[str, list[str]]]) -> Figures:
    """HR and MRR at 20 of (actual, predicted best first)."""
    places = [foretold[:CUTOFF].index(target) + 1 if target in foretold[:CUTOFF] else 0 for target, foretold in found]
    return {
        "cases": len(places),
        "hit_rate": round(sum(place > 0 for place in places) / len(places), 4),
        "mrr": round(sum(1 / place for place in places if place) / len(places), 4),
    }


def sessions_build(work: Path) -> Figures:
    """Process training clicks end to end; keep a copy of the loaded data for AR and SR."""
    from tests.real_events import yoochoose_clicks

    data = work / "sessions" / "data"
    warehouse = warehouse_of(data, "UTC")
    land_received(data, yoochoose_clicks(CLICKS / "yoochoose-clicks-100k_train_full.txt"))
    warehouse.load()
    shutil.copytree(data, work / "sessions_loaded" / "data")
    build(data)
    published = recommend_and_publish(data)
    [(events, sessions, products)] = warehouse.query(
        "select count(*), count(distinct session_id), count(distinct product_id) from intermediate.int_session_products"
    )
    return {
        "views": events,
        "sessions": sessions,
        "products": products,
        "sessions_of_the_data": len(clicks("train_full")),
        "ineligible_dropped": published.manifest.ineligible_dropped,
    }


def published_lists(data: Path) -> Figures:
    """All viewed_together lists of the published version, as the storefront and the API read them."""
    import msgspec

    from serving.api.session_neighbours import ViewedTogether
    from serving.published import Shard, read_current, shop_folder

    lists = {}
    for file in sorted((read_current(data).folder / shop_folder(SHOP) / "products").glob("*.json")):
        for product, document in msgspec.json.decode(file.read_bytes(), type=Shard).products.items():
            scores = {item.product_id: item.score for item in document.placements["viewed_together"]}
            lists[product] = ViewedTogether(document.seed.again, scores)
    return lists


def sessions_lists(work: Path) -> Figures:
    """The exported lists alone, and most-viewed products."""
    from collections import Counter

    from serving.api.session_neighbours import combined_lists

    lists = published_lists(work / "sessions" / "data")
    cases = next_clicks()
    found = [
        (target, [product for product, _ in combined_lists(viewed, lists, answer_viewed=True)[:CUTOFF]])
        for _, viewed, target in cases
    ]
    counts = Counter(product for _, views in clicks("train_full") for product in views)
    popular = [product for product, _ in counts.most_common(CUTOFF)]
    return {
        "lists": hits(found),
        "popular": hits((target, popular) for _, _, target in cases),
        "items_of_the_longest_list": max(len(together.scores) for together in lists.values()),
        "repeats": round(sum(target in viewed for _, viewed, target in cases) / len(cases), 4),
    }


BLEND = """
select * from (
    select
        prefix_id, recommended_product_id,
        row_number() over (partition by prefix_id order by score desc, recommended_product_id) as position
    from intermediate.int_session_scores
    where trained_for = 'now'
) as ranked
where position <= 20
order by prefix_id, position
"""


def sessions_sql(work: Path) -> Figures:
    """All cases at once, as session prefixes in the warehouse's models; every past session is a neighbour."""
    import duckdb
    import pandas as pd

    data = work / "sessions" / "data"
    cases = next_clicks()
    rows = []
    for case, viewed, _ in cases:
        distances: dict[str, int] = {}
        for distance, product in enumerate(reversed(viewed[-5:]), 1):
            distances.setdefault(product, distance)
        rows += [("now", SHOP, case, case, product, distance) for product, distance in distances.items()]
    prefixes = pd.DataFrame(rows, columns=["trained_for", "shop", "prefix_id", "session_id", "product_id", "distance"])
    with duckdb.connect(str(warehouse_of(data).file)) as connection:
        connection.execute("create or replace table intermediate.int_session_prefixes as from prefixes")
    del prefixes
    models = ["int_training_windows", "int_neighbour_scores", "int_session_scores"]
    seconds = execution_seconds(build(data, "--select", *models, neighbour_days=10_000))["execution_seconds"]
    foretold: dict[str, list[str]] = defaultdict(list)
    for case, product, _ in warehouse_of(data).query(BLEND):
        foretold[case].append(product)
    (work / "sql.json").write_text(json.dumps(foretold))
    return {
        "blend": hits((target, foretold[case]) for case, _, target in cases),
        "seconds": round(seconds, 2),
        "ms_per_case": round(1000 * seconds / len(cases), 3),
    }


def sessions_api(work: Path) -> Figures:
    """Cases one by one, with the read API's functions; counts the lists identical to the batch's."""
    from serving.api.session_neighbours import SessionNeighbours, blend
    from serving.published import private_folder, read_current

    data = work / "sessions" / "data"
    lists = published_lists(data)
    neighbours = SessionNeighbours.read(read_current(data).folder / private_folder(SHOP) / "sessions.parquet")
    cases, foretold, milliseconds = next_clicks(), {}, []
    for case, viewed, _ in cases:
        begun = time.perf_counter()
        ranked = blend(viewed, neighbours, lists, answer_viewed=True)
        milliseconds.append(1000 * (time.perf_counter() - begun))
        foretold[case] = [product for product, _ in ranked[:CUTOFF]]
    batch = json.loads((work / "sql.json").read_text())
    milliseconds.sort()
    return {
        "blend": hits((target, foretold[case]) for case, _, target in cases),
        "as_the_batch": sum(batch.get(case, []) == shown for case, shown in foretold.items()),
        "same_products_as_the_batch": sum(set(batch.get(case, [])) == set(shown) for case, shown in foretold.items()),
        "p50_ms": round(milliseconds[len(milliseconds) // 2], 3),
        "p90_ms": round(milliseconds[len(milliseconds) * 9 // 10], 3),
    }


def association_weights(data: Path, algorithm: str) -> dict[str, dict[str, float]]:
    """Pair weights by seed and product, from daily view pairs built with the settings of a session-rec algorithm."""
    variables = AS_SESSION_REC | ASSOCIATIONS[algorithm]
    build(data, "--full-refresh", "--select", "+int_view_pairs_daily", **variables)
    back = variables["backward_view_weight"]
    weights: dict[str, dict[str, float]] = defaultdict(dict)
    for seed, product, weight in warehouse_of(data).query(
        f"""
        with pairs as (
            select
                product_id, other_product_id,
                sum(forward_weight) as forward_weight, sum(backward_weight) as backward_weight
            from intermediate.int_view_pairs_daily
            group by all
        )
        select product_id, other_product_id, (forward_weight + {back} * backward_weight)::double from pairs
        where product_id <> other_product_id
        union all
        select other_product_id, product_id, (backward_weight + {back} * forward_weight)::double from pairs
        where product_id <> other_product_id
        union all
        select product_id, product_id, ((1 + {back}) * forward_weight)::double from pairs
        where product_id = other_product_id
        """
    ):
        if weight > 0:
            weights[seed][product] = weight
    return weights


def associations(work: Path, algorithm: str) -> Figures:
    """Compare with the stored predictions of session-rec, individually and over the whole test."""
    import csv

    weights = association_weights(work / "sessions_loaded" / "data", algorithm)
    test = dict(clicks("test"))
    predictions, reproduced, greatest = 0, 0, 0.0
    with (CLICKS / f"recoms_rsc15_100k_{algorithm}.csv").open() as file:
        for row in csv.DictReader(file, delimiter=";"):
            of_seed = weights.get(test[row["SessionId"]][int(row["Position"])], {})
            largest = max(of_seed.values(), default=1.0)
            stored = zip(row["Recommendations"].split(","), map(float, row["Scores"].split(",")), strict=True)
            difference = max((abs(of_seed.get(one, 0) / largest - score) for one, score in stored if score), default=0)
            predictions, reproduced = predictions + 1, reproduced + (difference < 1e-6)
            greatest = max(greatest, difference)
    best = {seed: sorted(row, key=lambda one: (-row[one], one))[:CUTOFF] for seed, row in weights.items()}
    return {
        "stored_predictions": predictions,
        "reproduced": reproduced,
        "greatest_difference": greatest,
        "test": hits((target, best.get(viewed[-1], [])) for _, viewed, target in next_clicks()),
    }


def sessions_ar(work: Path) -> Figures:
    """Association rules: all pairs of products of a session."""
    return associations(work, "ar")


def sessions_sr(work: Path) -> Figures:
    """Sequential rules: products that follow within 20 steps, weighted by squared distance."""
    return associations(work, "sr")


def sessions(work: Path) -> Figures:
    """Prediction of the next click."""
    found = {name: measured(f"sessions_{name}", work) for name in ("build", "lists", "sql", "api", "ar", "sr")}
    scores = {
        "lists, as a browser combines them": found["lists"]["lists"],
        "SQL batch blend": found["sql"]["blend"],
        "read API's blend": found["api"]["blend"],
        "popular": found["lists"]["popular"],
        "AR by our daily pairs": found["ar"]["test"],
        "SR by our daily pairs": found["sr"]["test"],
    }
    print(f"  {'next click, 20 shown':48s}{'HR':>8s}{'MRR':>8s}   target")
    for name, score in scores.items():
        asked = " / ".join(map(str, TARGETS.get(name, ())))
        print(f"  {name:48s}{score['hit_rate']:8.4f}{score['mrr']:8.4f}   {asked}")
    reference = {}
    for row in (CLICKS / "reference_scores.txt").read_text().splitlines():
        name, _, cases, _, hit_rate, _, mrr, *_ = row.split()
        reference[name] = {"cases": int(cases), "hit_rate": float(hit_rate), "mrr": float(mrr)}
        print(f"  {'session-rec ' + name:48s}{float(hit_rate):8.4f}{float(mrr):8.4f}")
    print(
        f"  batch and API: {found['api']['as_the_batch']} of {found['api']['blend']['cases']} lists are the same; "
        f"stored predictions reproduced: AR {found['ar']['reproduced']}, SR {found['sr']['reproduced']} of "
        f"{found['ar']['stored_predictions']}",
        flush=True,
    )
    return {"scores": scores, "reference": reference, "steps": found}


# retail


def retail_lines() -> Any:
    """Sales lines of invoices, with a number for each stock code, in file order."""
    import duckdb

    with duckdb.connect() as connection:
        return connection.execute(
            """
            select
                InvoiceNo as invoice, InvoiceDate as invoiced_at, CustomerID::bigint as customer,
                (100000 + dense_rank() over (order by StockCode))::varchar as product, Description as title,
                Quantity as quantity, UnitPrice::decimal(18, 4) as price, InvoiceDate >= $split as is_test
            from (select *, row_number() over () as place from read_parquet($path))
            where not starts_with(InvoiceNo, 'C') and Quantity > 0 and UnitPrice > 0
            order by place
            """,
            {"path": str(RETAIL), "split": RETAIL_SPLIT},
        ).df()


def retail_orders(lines: Any) -> Iterator[dict[str, Any]]:
    """One checkout_completed event per invoice, with numeric product ids as in Shopify."""
    for invoice, rows in lines.groupby("invoice", sort=True):
        customer = None if rows["customer"].isna().any() else str(int(rows["customer"].iloc[0]))
        total = float((rows["quantity"] * rows["price"].astype(float)).sum())
        yield {
            "id": f"invoice-{invoice}",
            "clientId": customer,
            "name": "checkout_completed",
            "timestamp": f"{rows['invoiced_at'].min():%Y-%m-%dT%H:%M:%S}.000Z",
            "data": {
                "checkout": {
                    "currencyCode": "GBP",
                    "order": {"id": invoice, "customer": {"id": customer} if customer else None},
                    "lineItems": [
                        {
                            "title": row.title,
                            "quantity": int(row.quantity),
                            "finalLinePrice": money(row.quantity * float(row.price)),
                            "variant": {
                                "id": row.product,
                                "sku": row.product,
                                "price": money(row.price),
                                "product": {"id": row.product, "title": row.title or row.product},
                            },
                        }
                        for row in rows.itertuples()
                    ],
                    "subtotalPrice": money(total),
                    "totalPrice": money(total),
                }
            },
        }


def money(amount: Any) -> dict[str, Any]:
    return {"amount": float(amount), "currencyCode": "GBP"}


def retail_load(work: Path) -> Figures:
    """Land and load invoices before the split."""
    lines = retail_lines()
    train = lines[~lines["is_test"]]
    data = work / "retail" / "data"
    warehouse = warehouse_of(data, "Europe/London")
    land_received(data, retail_orders(train))
    warehouse.load()
    return {"invoices": int(train["invoice"].nunique()), "products": int(train["product"].nunique())}


def baskets_to_foretell(lines: Any, given: str) -> list[tuple[str, set[str]]]:
    """One product of each invoice after the split, and the other products.

    given: the `first` line's, which in this file has the smallest code of its invoice; or `any`, the same every time.
    """
    found = []
    for invoice, rows in lines[lines["is_test"]].groupby("invoice", sort=True):
        products = list(dict.fromkeys(rows["product"]))
        if given == "any":
            products.sort(key=lambda product: hashlib.md5(f"{invoice}/{product}".encode()).hexdigest())
        if len(products) > 1:
            found.append((products[0], set(products[1:])))
    return found


def new_products(lines: Any) -> dict[str, set[str]]:
    """Products that customers first bought after the split, among those sold before it."""
    known = lines.dropna(subset="customer")
    train, test = known[~known["is_test"]], known[known["is_test"]]
    sold = set(lines[~lines["is_test"]]["product"])
    owned = train.groupby("customer")["product"].agg(set).to_dict()
    found = {}
    for customer, products in test.groupby("customer")["product"].agg(set).items():
        news = (products & sold) - owned.get(customer, set())
        if customer in owned and news:
            found[str(int(customer))] = news
    return found


def shown_hits(found: Iterable[tuple[set[str], list[str]]]) -> Figures:
    """HR and recall at 10 of (bought, shown).

    recall: of all products bought; recall_at_most_10: of as many of them as could have been shown.
    """
    pairs = [(wanted, len(wanted.intersection(shown[:SHOWN]))) for wanted, shown in found]
    return {
        "cases": len(pairs),
        "hit_rate": round(sum(hit > 0 for _, hit in pairs) / len(pairs), 4),
        "recall": round(sum(hit / len(wanted) for wanted, hit in pairs) / len(pairs), 4),
        "recall_at_most_10": round(sum(hit / min(len(wanted), SHOWN) for wanted, hit in pairs) / len(pairs), 4),
    }


def matrix(rows: Iterable[tuple[str, str]]) -> tuple[Any, list[str], dict[str, int], dict[str, int]]:
    """A binary owners x products matrix, the products, and the index of each product and owner."""
    import numpy as np
    from scipy import sparse

    pairs = sorted(set(rows))
    owners = {owner: number for number, owner in enumerate(sorted({owner for owner, _ in pairs}))}
    products = sorted({product for _, product in pairs})
    numbers = {product: number for number, product in enumerate(products)}
    places = ([owners[owner] for owner, _ in pairs], [numbers[product] for _, product in pairs])
    shape = (len(owners), len(products))
    return sparse.csr_matrix((np.ones(len(pairs), np.float32), places), shape=shape), products, numbers, owners


def retail_baskets(data: Path, lines: Any) -> Figures:
    """Compare bought_together, popularity and `implicit` on the same baskets."""
    from implicit.nearest_neighbours import BM25Recommender, CosineRecommender

    warehouse = warehouse_of(data)
    ours: dict[str, list[str]] = defaultdict(list)
    for product, other in warehouse.query(
        "select product_id, recommended_product_id from recommendations.related_products "
        "where strategy = 'bought_together' order by product_id, position"
    ):
        ours[product].append(other)
    baskets = warehouse.query("select order_key, product_id from intermediate.int_baskets")
    interests, products, numbers, _ = matrix(baskets)
    popularity = interests.sum(axis=0).A1
    popular = [products[number] for number in sorted(range(len(products)), key=lambda one: (-popularity[one], one))]
    models = {"implicit cosine": CosineRecommender(K=50), "implicit BM25": BM25Recommender(K=50)}
    for model in models.values():
        model.fit(interests, show_progress=False)

    def similar(model: Any, given: str) -> list[str]:
        if given not in numbers:
            return []
        ids, _ = model.similar_items(numbers[given], N=SHOWN + 1)
        return [products[one] for one in ids.tolist() if one >= 0 and products[one] != given]

    found: Figures = {"baskets": len({basket for basket, _ in baskets}), "rows": len(baskets)}
    for given in ("first", "any"):
        cases = baskets_to_foretell(lines, given)
        found[given] = {
            "ours": shown_hits((wanted, ours.get(one, [])) for one, wanted in cases),
            "popular": shown_hits((wanted, [other for other in popular[:11] if other != one]) for one, wanted in cases),
            **{
                name: shown_hits((wanted, similar(model, one)) for one, wanted in cases)
                for name, model in models.items()
            },
        }
    return found


def retail_customers(data: Path, lines: Any) -> Figures:
    """Compare EASE with the profiles of personal lists, popularity and `implicit` on the same interests.

    Customers without interests (all of their orders are wholesale) are shown popular products by every method.
    """
    import duckdb
    import numpy as np
    from implicit.als import AlternatingLeastSquares
    from implicit.nearest_neighbours import BM25Recommender, CosineRecommender

    from serving.recommenders.ease import best_products, product_weights
    from serving.recommenders.personal import read_interests
    from serving.settings import read_settings

    warehouse = warehouse_of(data)
    with duckdb.connect(str(warehouse.file), read_only=True) as connection:
        interests = read_interests(connection, "now", SHOP, read_settings(connection))
        journeys = dict(
            connection.execute(
                "select identifier, journey_id from core.identity_map where identifier_kind = 'client'"
            ).fetchall()
        )
    wanted = new_products(lines)
    rows = {journey: number for number, journey in enumerate(interests.journeys)}
    known = {customer: rows[journeys[customer]] for customer in wanted if journeys.get(customer) in rows}
    persons = np.array(list(known.values()))
    shown, recency = interests.shown[persons], interests.recency[persons]
    popularity = interests.shown.sum(axis=0).A1
    popular = [interests.products[one] for one in np.argsort(-popularity, kind="stable")]

    def measured_of(best: np.ndarray) -> Figures:
        lists = {customer: interests.products[best[number]].tolist() for number, customer in enumerate(known)}
        return shown_hits((news, lists.get(customer, popular[:SHOWN])) for customer, news in wanted.items())

    owned = [set(shown[number].indices) for number in range(len(persons))]
    order = np.argsort(-popularity, kind="stable").tolist()
    unowned = [[one for one in order if one not in has][:SHOWN] for has in owned]
    ease, _ = best_products(recency, product_weights(interests.shown), shown, SHOWN)
    found = {
        "customers_without_interests": len(wanted) - len(known),
        "EASE": measured_of(ease),
        "popular": measured_of(np.array(unowned)),
    }
    for name, model in {
        "implicit cosine": CosineRecommender(K=100),
        "implicit BM25": BM25Recommender(K=100),
    }.items():
        model.fit(interests.shown, show_progress=False)
        for profile, of_persons in (("", shown), (", our profiles", recency)):
            best, _ = model.recommend(np.arange(len(persons)), of_persons, N=SHOWN)
            found[name + profile] = measured_of(best)
    for factors, regularization in ((32, 10), (64, 10), (32, 1), (128, 10)):
        model = AlternatingLeastSquares(factors=factors, regularization=regularization, random_state=1)
        model.fit(interests.shown, show_progress=False)
        best, _ = model.recommend(persons, shown, N=SHOWN)
        found[f"implicit ALS, {factors} factors, regularization {regularization}"] = measured_of(best)
    return found


def retail_measure(work: Path, cap: int) -> Figures:
    """All basket figures, once per limit of basket size."""
    data = work / "retail" / "data"
    if cap == BASKET_CAPS[0]:
        build(data)
    else:
        build(data, "--full-refresh", "--select", "int_baskets+", max_basket_products=cap)
    lines = retail_lines()
    return {"baskets": retail_baskets(data, lines), "customers": retail_customers(data, lines)}


def retail(work: Path) -> Figures:
    """Prediction of the rest of a basket, and of a customer's new products."""
    found = {"load": measured("retail_load", work)}
    for cap in BASKET_CAPS:
        found[f"at most {cap} products"] = figures = measured(f"retail_{cap}", work)
        tables = {
            f"rest of a basket, its {given} product given": figures["baskets"][given] for given in ("first", "any")
        }
        for name, scores in (tables | {"what is new to a customer": figures["customers"]}).items():
            title = f"{name}; orders of at most {cap} products make pairs"
            print(f"  {title:74s}HR recall of at most 10")
            for strategy, score in scores.items():
                if isinstance(score, dict):
                    formatted = f"{score['hit_rate']:8.4f}{score['recall']:8.4f}{score['recall_at_most_10']:8.4f}"
                    print(f"    {strategy:66s}{formatted}   of {score['cases']}", flush=True)
    return found


# speed


def speed_generate(work: Path) -> Figures:
    """Write a history and its increments."""
    data = work / "speed" / "data"
    write_landing_files(data / "landing", work / "speed" / "later", [EVENTS, NEWS], products=PRODUCTS)
    return {"events": EVENTS, "news": NEWS, "products": PRODUCTS}


def speed_load(work: Path) -> Figures:
    """Load landed files into the warehouse, creating it if needed."""
    from tests.warehouse import Warehouse

    data = work / "speed" / "data"
    fresh = not warehouse_of(data).file.exists()
    warehouse = Warehouse(data, PROJECT / "shops.toml") if fresh else warehouse_of(data)
    warehouse.load()
    return {}


def speed_build(data: Path, *arguments: str, **variables: Any) -> Figures:
    """Build with a window long enough for all events."""
    results = of_recommendations(build(data, *arguments, view_window_days=400, **variables))
    return {"without_trials": execution_seconds(without_trials(results)), "all": execution_seconds(results)}


def speed_whole(work: Path) -> Figures:
    """Build every model; report the share of the recommendation models."""
    return speed_build(work / "speed" / "data")


def speed_others(work: Path) -> Figures:
    """Build every model except the recommendation models."""
    return speed_build(work / "speed" / "data", "--exclude", *LISTS[1:])


def speed_lists_full(work: Path) -> Figures:
    return speed_build(work / "speed" / "data", *LISTS, "--exclude", *TRIALS, "--full-refresh")


def speed_trials_full(work: Path) -> Figures:
    return speed_build(work / "speed" / "data", "--select", *TRIALS, "--full-refresh")


def speed_lists(work: Path) -> Figures:
    return speed_build(work / "speed" / "data", *LISTS, "--exclude", *TRIALS)


def speed_trials(work: Path) -> Figures:
    return speed_build(work / "speed" / "data", "--select", *TRIALS)


def speed_personal(work: Path) -> Figures:
    """Run the recommenders outside dbt, with the method for this catalogue size."""
    from serving.recommenders.personal import recommend

    data = work / "speed" / "data"
    lists = recommend(warehouse_of(data).file)
    return {"methods": warehouse_of(data).query("select * from intermediate.int_personal_methods"), "lists": lists}


def speed_publish(work: Path) -> Figures:
    """Publish a version: marts and list files."""
    from serving.publish import publish

    data = work / "speed" / "data"
    published = publish(warehouse_of(data).file, data)
    files = published.manifest.files
    return {
        "files": len(files),
        "mb": sum(file.bytes for file in files) >> 20,
        "mb_of_analytics": sum(file.bytes for file in files if file.path == "pixelnova.duckdb") >> 20,
        "ineligible_dropped": published.manifest.ineligible_dropped,
    }


def speed_ease(work: Path, products: int) -> Figures:
    """EASE alone, on the most-viewed products, and lists for 1,000 persons."""
    import duckdb
    import numpy as np

    from serving.recommenders.ease import best_products, product_weights
    from serving.recommenders.personal import OVERFETCH, read_interests
    from serving.settings import read_settings
    from tests.benchmarks.generated_events import SHOP as GENERATED

    with duckdb.connect(str(warehouse_of(work / "speed" / "data").file), read_only=True) as connection:
        interests = read_interests(connection, "now", GENERATED, read_settings(connection))
    order = np.argsort(-interests.shown.sum(axis=0).A1, kind="stable")[:products]
    shown, recency = interests.shown[:, order], interests.recency[:1_000, order]
    begun = time.monotonic()
    weights = product_weights(shown)
    weighed = time.monotonic()
    best_products(recency, weights, recency, OVERFETCH * CUTOFF)
    return {
        "persons": len(interests.journeys),
        "products": len(order),
        "weights_seconds": round(weighed - begun, 2),
        "lists_seconds": round(time.monotonic() - weighed, 2),
    }


def speed_sql(work: Path) -> Figures:
    """Build daily pairs and viewed_together lists with dbt; no event is old enough for the backtest's lists."""
    models = ["int_training_windows", "int_view_pairs_daily", "int_viewed_products", "int_viewed_together"]
    selected = ["--select", *models, "--full-refresh"]
    return {"seconds": speed_build(work / "speed" / "data", *selected, evaluation_days=10_000)["all"]["span_seconds"]}


def viewed_products(work: Path) -> Any:
    """The input of the lists: distinct (session, product) pairs as integers."""
    import duckdb

    with duckdb.connect(str(warehouse_of(work / "speed" / "data").file), read_only=True) as connection:
        return connection.execute(
            "select distinct dense_rank() over (order by session_id) - 1 as session, "
            "dense_rank() over (order by product_id) - 1 as product from intermediate.int_session_products"
        ).df()


def speed_library(work: Path, name: str) -> Figures:
    """Lists of 20 by another method, without decay, support, direction or eligibility; numbering is not timed."""
    views = viewed_products(work)
    begun = time.monotonic()
    if name == "pandas":
        pairs = views.merge(views, on="session", suffixes=("", "_other"))
        pairs = pairs[pairs["product"] != pairs["product_other"]]
        counts = pairs.groupby(["product", "product_other"]).size().rename("sessions").reset_index()
        counts = counts.sort_values(["product", "sessions"], ascending=[True, False])
        rows = len(counts.groupby("product").head(CUTOFF))
    else:
        import numpy as np
        from implicit.nearest_neighbours import BM25Recommender, CosineRecommender
        from scipy import sparse

        ones = np.ones(len(views), np.float32)
        interests = sparse.csr_matrix((ones, (views["session"].to_numpy(), views["product"].to_numpy())))
        model = {"cosine": CosineRecommender, "bm25": BM25Recommender}[name](K=CUTOFF)
        model.fit(interests, show_progress=False)
        rows = model.similarity.nnz
    return {"views": len(views), "seconds": round(time.monotonic() - begun, 2), "rows": int(rows)}


def speed(work: Path) -> Figures:
    """Cost of recommendations of a large shop: in full, with 1 % more events, with none."""
    found: Figures = {"memory_limit_of_duckdb": MEMORY, "generate": measured("speed_generate", work)}
    found["load"] = measured("speed_load", work)
    found["whole_full"] = measured("speed_whole", work)
    for step in ("lists_full", "trials_full", "personal", "publish"):
        found[step] = measured(f"speed_{step}", work, MEMORY)
    for step in ("sql", "cosine", "bm25", "pandas"):  # alternating, twice
        found[step] = measured(f"speed_{step}", work)
    for step in ("sql", "cosine", "bm25", "pandas"):
        found[f"{step}_again"] = measured(f"speed_{step}", work)
    for size in EASE_SIZES:
        found[f"ease_{size}"] = measured(f"speed_ease_{size}", work)
    for file in (work / "speed" / "later").iterdir():
        file.rename(work / "speed" / "data" / "landing" / file.name)
    found["load_news"] = measured("speed_load", work)
    found["others_news"] = measured("speed_others", work)
    for step in ("lists", "trials"):
        found[f"{step}_news"] = measured(f"speed_{step}", work, MEMORY)
    found["whole_news"] = measured("speed_whole", work)  # only a whole run marks its files as done
    for step in ("lists", "trials"):
        found[f"{step}_empty"] = measured(f"speed_{step}", work, MEMORY)
    found["whole_empty"] = measured("speed_whole", work)
    found["lists_full_again"] = measured("speed_lists_full", work, MEMORY)
    ratios = {}
    for what in ("execution_seconds", "span_seconds"):
        full = min(found[step]["all"][what] for step in ("lists_full", "lists_full_again"))
        for run in ("news", "empty"):
            ratios[f"lists, {run} / full, {what}"] = found[f"lists_{run}"]["all"][what] / full
    ratios["lists within whole runs, news / full, execution_seconds"] = (
        found["whole_news"]["without_trials"]["execution_seconds"]
        / found["whole_full"]["without_trials"]["execution_seconds"]
    )
    for library in ("cosine", "bm25", "pandas"):
        ratios[f"SQL / {library}"] = min(found[step]["seconds"] for step in ("sql", "sql_again")) / min(
            found[step]["seconds"] for step in (library, f"{library}_again")
        )
    found["ratios"] = {name: round(ratio, 3) for name, ratio in ratios.items()}
    for name, step in found.items():
        if "all" in step:
            slowest = ", ".join(f"{model} {seconds}" for model, seconds in list(step["all"]["slowest"].items())[:5])
            print(
                f"  {name:18s}{step['all']['execution_seconds']:8.2f} s in models "
                f"{step['all']['span_seconds']:8.2f} s from first to last {step['step_seconds']:8.2f} s process "
                f"{step['cpu_seconds']:8.1f} s CPU {step['peak_mb']:6d} MB  {slowest}"
            )
        elif "step_seconds" in step:
            seconds = step.get("seconds", step.get("weights_seconds", step["step_seconds"]))
            print(f"  {name:18s}{seconds:8.2f} s {step['peak_mb']:6d} MB")
    print(json.dumps(found["ratios"], indent=2), flush=True)
    return found


# api

# Arguments: folder with products.txt and bodies.txt, path of the shop, seed, mean pause in milliseconds.
LOAD = """
local products, bodies, path, pause = {}, {}, "", 0
function init(args)
    path = args[2]
    math.randomseed(tonumber(args[3]))
    pause = tonumber(args[4])
    for line in io.lines(args[1] .. "/products.txt") do products[#products + 1] = line end
    for line in io.lines(args[1] .. "/bodies.txt") do bodies[#bodies + 1] = line end
end
function request()
    local draw = math.random()
    if draw < 0.7 then
        return wrk.format("GET", path .. "/products/" .. products[math.random(#products)] .. "/recommendations")
    elseif draw < 0.8 then
        return wrk.format("GET", path .. "/popular")
    end
    local body = bodies[math.random(#bodies)]
    return wrk.format("POST", path .. "/session", {["Content-Type"] = "application/json"}, body)
end
function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '\\n{"requests": %d, "seconds": %.3f, "p50_ms": %.2f, "p90_ms": %.2f, "p99_ms": %.2f, "max_ms": %.2f, ' ..
        '"errors": %d}\\n',
        summary.requests, summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(90) / 1000,
        latency:percentile(99) / 1000, latency.max / 1000,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout
    ))
end
"""
# Exponential pauses, as of many independent shoppers.
PAUSES = "function delay() return -math.log(1 - math.random()) * pause end\n"
SERVER = "import sys; from pathlib import Path; from serving.api import serve; serve({}, Path({!r}), {}, 0)"


def storefront_views() -> Iterator[dict[str, Any]]:
    """Yoochoose's clicks with full product data, plus rarely viewed products."""
    from tests.real_events import yoochoose_clicks

    def filled(product: str) -> dict[str, Any]:
        number = int(product)
        return {
            "id": f"{product}1",
            "price": {"amount": 5 + number % 90, "currencyCode": "GBP"},
            "image": {"src": f"https://cdn.example/s/files/1/0001/products/product-{product}.jpg?v=1700000000"},
            "product": {
                "id": product,
                "title": f"The product of the number {product}",
                "vendor": f"Vendor {number % 41}",
                "type": f"Type {number % 59}",
                "url": f"/products/product-{product}",
            },
        }

    seen, begun_at = set(), None
    for event in yoochoose_clicks(CLICKS / "yoochoose-clicks-100k_train_full.txt"):
        product = event["data"]["productVariant"]["product"]["id"]
        seen.add(product)
        begun_at = begun_at or datetime.fromisoformat(event["timestamp"])
        yield event | {"data": {"productVariant": filled(product)}}
    for number in range(API_PRODUCTS - len(seen)):
        viewed_at = begun_at + timedelta(seconds=20 * number)
        yield {
            "id": f"few-{number}",
            "clientId": f"few-{number // 3}",
            "name": "product_viewed",
            "timestamp": f"{viewed_at:%Y-%m-%dT%H:%M:%S}.000Z",
            "data": {"productVariant": filled(str(900_000_000 + number))},
        }


def api_publish(work: Path) -> Figures:
    """Publish three versions of the same data, and prepare the requests."""
    from serving.publish import publish
    from serving.published import read_current

    data = work / "api" / "data"
    warehouse = warehouse_of(data, "UTC")
    land_received(data, storefront_views())
    warehouse.load()
    build(data)
    recommend_and_publish(data)
    for _ in range(2):
        publish(warehouse.file, data)
    products = read_current(data).catalogue(SHOP).products
    (work / "products.txt").write_text("\n".join(sorted(products)))
    bodies = [json.dumps({"products": viewed}) for _, viewed, _ in next_clicks() if len(viewed) <= 50]
    (work / "bodies.txt").write_text("\n".join(bodies))
    [(sessions,)] = warehouse.query("select count(distinct session_id) from intermediate.int_session_products")
    return {"products": len(products), "sessions": sessions}


def descendants(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += descendants(int(child))
    return found


def memory_and_cpu(pid: int) -> tuple[int, float]:
    """Peak MB of the largest process of a tree, and CPU seconds of all."""
    peak, ticks = 0, 0
    for one in descendants(pid):
        status = Path(f"/proc/{one}/status").read_text()
        peak = max(peak, int(status.split("VmHWM:")[1].split()[0]) // 1024)
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return peak, ticks / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def api_server(data: Path, workers: int) -> Iterator[tuple[str, int]]:
    """Run the server in its own process; yields its address and pid."""
    port = free_port()
    code = SERVER.format(f"'127.0.0.1', {port}", str(data), workers)
    server = subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    try:
        assert "listening" in server.stdout.readline(), "the API did not start"
        yield f"http://127.0.0.1:{port}", server.pid
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)


@contextlib.contextmanager
def switching(data: Path, every: float) -> Iterator[list[str]]:
    """Switch `current` between versions repeatedly, as publications do."""
    folder = data / "published"
    versions = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    switched: list[str] = []
    over = threading.Event()

    def switch() -> None:
        while every and not over.wait(every):
            switched.append(versions[len(switched) % len(versions)])
            link = folder / ".switching"
            link.symlink_to(switched[-1])
            link.replace(folder / "current")

    thread = threading.Thread(target=switch)
    thread.start()
    try:
        yield switched
    finally:
        over.set()
        thread.join()


def load_of(work: Path, workers: int, connections: int, rate: int, switches: bool = True) -> Figures:
    """Run wrk with the mix of requests. rate: target requests per second, 0 for no limit."""
    data = work / "api" / "data"
    script = work / "load.lua"
    script.write_text(LOAD + (PAUSES if rate else ""))
    with api_server(data, workers) as (url, pid):

        def ask(seconds: int) -> Figures:
            pause = 1000 * connections / rate - 1.0 if rate else 0  # a request takes about a millisecond
            command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url, "--", str(work)]
            words = [*command, f"/v1/shops/{SHOP}", "7", str(pause)]
            return json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()[-1])

        ask(3)
        _, before = memory_and_cpu(pid)
        with switching(data, SWITCH_SECONDS if switches else 0) as switched:
            asked = ask(API_SECONDS)
        peak, after = memory_and_cpu(pid)
    return {
        "workers": workers,
        "connections": connections,
        "rate_asked": rate or None,
        "switches": len(switched),
        "requests_per_second": round(asked["requests"] / asked["seconds"], 1),
        **{name: asked[name] for name in ("requests", "p50_ms", "p90_ms", "p99_ms", "max_ms", "errors")},
        "server_cpu_ms_per_request": round(1000 * (after - before) / asked["requests"], 3),
        "peak_mb_of_a_worker": peak,
    }


def api(work: Path) -> Figures:
    """The read API under a mix of 70 % products, 10 % popular, 20 % sessions, while versions switch."""
    if not shutil.which("wrk"):
        sys.exit("wrk is missing: apt-get install wrk")
    found: Figures = {"publish": measured("api_publish", work), "loads": []}
    for workers, connections, rate, switches in API_LOADS:
        figures = load_of(work, workers, connections, rate, switches)
        found["loads"].append(figures)
        print(
            f"  {workers} workers, {connections:2d} connections, {rate or 'no'} limit, {figures['switches']} switches: "
            f"{figures['requests_per_second']:8.1f}/s p50 {figures['p50_ms']} p90 {figures['p90_ms']} "
            f"p99 {figures['p99_ms']} ms, {figures['errors']} errors, {figures['peak_mb_of_a_worker']} MB",
            flush=True,
        )
    return found


# All parts

PARTS: dict[str, Callable[[Path], Figures]] = {"sessions": sessions, "retail": retail, "speed": speed, "api": api}
STEPS: dict[str, Callable[[Path], Figures]] = {
    step.__name__: step
    for step in (
        sessions_build,
        sessions_lists,
        sessions_sql,
        sessions_api,
        sessions_ar,
        sessions_sr,
        retail_load,
        speed_generate,
        speed_load,
        speed_whole,
        speed_others,
        speed_lists_full,
        speed_trials_full,
        speed_lists,
        speed_trials,
        speed_personal,
        speed_publish,
        speed_sql,
        api_publish,
    )
}
STEPS |= {f"retail_{cap}": (lambda work, cap=cap: retail_measure(work, cap)) for cap in BASKET_CAPS}
STEPS |= {f"speed_ease_{size}": (lambda work, size=size: speed_ease(work, size)) for size in EASE_SIZES}
STEPS |= {f"speed_{name}": (lambda work, name=name: speed_library(work, name)) for name in ("cosine", "bm25", "pandas")}


def measured(step: str, work: Path, memory: str = MEMORY_ELSEWHERE) -> Figures:
    """Run a step in its own process."""
    environment = {**os.environ, "PIXELNOVA_MEMORY": memory}
    if step.startswith("retail"):  # `implicit` has its own threads and requires this
        environment["OPENBLAS_NUM_THREADS"] = "1"
    command = [sys.executable, "-m", "tests.benchmarks.recommendations", "--step", step, str(work)]
    begun = time.monotonic()
    done = subprocess.run(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return {"process_seconds": round(time.monotonic() - begun, 2), **json.loads(done.stdout.splitlines()[-1])}


def main() -> None:
    """Measure, print, and write the figures to the file of --json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--step", nargs=2, metavar=("STEP", "WORK"))
    arguments = parser.parse_args()
    if arguments.step:
        step, work = arguments.step
        begun = time.monotonic()
        figures = STEPS[step](Path(work))
        usage = resource.getrusage(resource.RUSAGE_SELF)
        figures |= {
            "step_seconds": round(time.monotonic() - begun, 2),
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
            "peak_mb": peak_mb(),
            "load_of_the_machine": round(os.getloadavg()[0], 1),
        }
        print(json.dumps(figures))
        return
    result: Figures = {}
    if arguments.json and arguments.json.exists():  # keep the parts that are not measured now
        result = json.loads(arguments.json.read_text())
    for part in arguments.only:
        print(part, flush=True)
        with tempfile.TemporaryDirectory() as work:
            result[part] = {"measured_on": f"{datetime.now(UTC):%Y-%m-%d}", **PARTS[part](Path(work))}
        if arguments.json:
            arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
