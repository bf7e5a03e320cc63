"""A simulated Admin GraphQL API that executes Shopify's own schema over a simulated shop.

Serves GraphQL over HTTP as Shopify documents it: pages and cursors, searches by time, query costs and throttling,
wrong tokens, missing scopes, unknown versions, server errors, bulk operations and their files. Unknown fields and
arguments are errors. prune_schema.py generates admin_api.graphql.
"""

import base64
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLResolveInfo,
    IntValueNode,
    OperationDefinitionNode,
    build_schema,
    graphql_sync,
    parse,
)

from ingestion.simulator.admin_store import AdminStore, Node
from ingestion.simulator.token_grant import TokenGrant
from ingestion.sources.shopify_queries import API_VERSION

MAX_PAGE = 250
SCHEMA_FILE = Path(__file__).with_suffix(".graphql")
MAX_QUERY_COST = 1000
START_SECONDS = 10
NEEDED_SCOPES = {"orders": "read_orders", "order": "read_orders", "webPixel": "read_pixels"}
WITHOUT_SCOPE = {"currentAppInstallation", "publicApiVersions", "webhookSubscriptions"}
UPDATED_SINCE = re.compile(r"(?:updated|created)_at:>='([^']+)'")


@dataclass
class Bucket:
    """Shopify's leaky bucket of points; the defaults are those of a standard shop."""

    maximum: float = 2000.0
    restore_rate: float = 100.0
    clock: Callable[[], float] = time.monotonic  # seconds; a test may drive its own
    throttled: int = 0  # how many requests were refused
    _level: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self._level, self._at = self.maximum, self.clock()

    def take(self, cost: float) -> bool:
        """Take points if there are enough; returns whether there were."""
        now = self.clock()
        self._level = min(self.maximum, self._level + (now - self._at) * self.restore_rate)
        self._at = now
        if cost > self._level:
            self.throttled += 1
            return False
        self._level -= cost
        return True

    def give_back(self, cost: float) -> None:
        """Return the points that a query was charged but did not use."""
        self._level = min(self.maximum, self._level + cost)

    def status(self) -> Node:
        """The `throttleStatus` of a response."""
        return {
            "maximumAvailable": self.maximum,
            "currentlyAvailable": int(self._level),
            "restoreRate": self.restore_rate,
        }


class AdminApi:
    """The ASGI application: one shop, one app. Its public attributes may be changed while it serves."""

    def __init__(
        self, store: AdminStore, token: str, bucket: Bucket | None = None, grant: TokenGrant | None = None
    ) -> None:
        """Serve the store to requests with `token`, or with one granted by `grant`."""
        self.store = store
        self.grant = grant
        self.supported_versions = [API_VERSION, "unstable"]
        self.webhooks: list[Node] = []  # {"topic": "ORDERS_CREATE", "uri": "https://…"}
        self.web_pixel: Node | None = None  # {"id": "gid://…", "settings": "{…}"}
        self.bucket = bucket or Bucket()
        self.scopes = {"read_products", "read_orders"}
        self.served_version = API_VERSION
        self.server_errors = 0  # how many more requests get 502
        self.cursors_of = 0  # cursors of an earlier generation have expired
        self.bulk_ends_as = "COMPLETED"
        self.bulk_is_cut = False
        self.requests: list[str] = []  # names of the operations that returned data
        self.url = ""
        self._token = token.encode()
        self._schema = build_schema(SCHEMA_FILE.read_text())
        self._files: dict[str, bytes] = {}
        self._operations: dict[str, Node] = {}
        self._root = {
            "products": self._products,
            "productsCount": lambda info, query=None, **_: {
                "count": len(_found(list(store.products.values()), query)),
                "precision": "EXACT",
            },
            "product": lambda info, id: self._product(store.products.get(id)),
            "collections": lambda info, **page: self._page(list(store.collections.values()), info, **page),
            "collection": lambda info, id: self._collection(store.collections.get(id)),
            "events": self._events,
            "orders": self._orders,
            "order": lambda info, id: self._order(store.orders.get(id)),
            "node": lambda info, id: self._operations.get(id),
            "currentAppInstallation": lambda info: {"accessScopes": [{"handle": one} for one in sorted(self.scopes)]},
            "publicApiVersions": lambda info: [
                {"handle": one, "supported": one != "unstable"} for one in self.supported_versions
            ],
            "webhookSubscriptions": lambda info, **page: self._page(self.webhooks, info, **page),
            "webPixel": self._web_pixel,
            "bulkOperationRunQuery": self._run_bulk,
        }

    # --- HTTP

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        status, answer = self._answer(scope, body)
        headers = [(b"content-type", b"application/json"), (b"x-shopify-api-version", self.served_version.encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send(
            {
                "type": "http.response.body",
                "body": answer if isinstance(answer, bytes) else msgspec.json.encode(answer),
            }
        )

    def _answer(self, scope: dict[str, Any], body: bytes) -> tuple[int, Node | bytes]:
        if scope["path"].startswith("/bulk/"):
            file = self._files.get(scope["path"].removeprefix("/bulk/"))
            return (200, file) if file is not None else (404, b"")
        if self.grant and scope["path"] == "/admin/oauth/access_token":
            return self.grant.answer(body, self.scopes)
        if not scope["path"].endswith(f"/admin/api/{API_VERSION}/graphql.json"):
            return 404, {"errors": "Not Found"}
        token = dict(scope["headers"]).get(b"x-shopify-access-token", b"")
        if token != self._token and not (self.grant and self.grant.is_valid(token.decode())):
            return 401, {"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"}
        if self.server_errors:
            self.server_errors -= 1
            return 502, {"errors": "Bad Gateway"}
        request = msgspec.json.decode(body)
        return 200, self._execute(request["query"], request.get("variables"))

    def _execute(self, query: str, variables: Node | None, bulk: bool = False) -> Node:
        try:
            document = parse(query)
        except GraphQLError as error:
            return {"errors": [error.formatted]}
        cost = 0 if bulk else query_cost(document)
        if cost > MAX_QUERY_COST:
            return _refusal(f"Query cost is {cost}, which exceeds the single query max cost.", "MAX_COST_EXCEEDED")
        field_name = _first_field(document).name.value
        needed = NEEDED_SCOPES.get(field_name, "read_products")
        if needed not in self.scopes and field_name in self._root.keys() - WITHOUT_SCOPE:
            return _refusal(f"Access denied for {field_name} field. Required access: `{needed}`.", "ACCESS_DENIED")
        accounts = {"requestedQueryCost": cost}
        if not self.bucket.take(cost):
            accounts["throttleStatus"] = self.bucket.status()
            return _refusal("Throttled", "THROTTLED") | {"extensions": {"cost": accounts}}
        result = graphql_sync(
            self._schema, query, self._root, variable_values=variables, context_value={"bulk": bulk}
        ).formatted
        self.requests.append(_operation(document).name.value)
        accounts["actualQueryCost"] = min(cost, _objects(result.get("data")))
        self.bucket.give_back(cost - accounts["actualQueryCost"])
        return {**result, "extensions": {"cost": {**accounts, "throttleStatus": self.bucket.status()}}}

    # --- resolvers

    def _products(self, info: GraphQLResolveInfo, **page: Any) -> Node:
        return self._page(list(self.store.products.values()), info, wrap=self._product, **page)

    def _product(self, node: Node | None) -> Node | None:
        if node is None:
            return None
        variants = list(self.store.variants[node["id"]].values())
        return {**node, "variants": lambda info, **page: self._page(variants, info, **page)}

    def _collection(self, node: Node | None) -> Node | None:
        if node is None:
            return None
        members = [self.store.products[one] for one in self.store.members.get(node["id"], [])]
        return {**node, "products": lambda info, **page: self._page(members, info, **page)}

    def _events(self, info: GraphQLResolveInfo, query: str | None = None, **page: Any) -> Node:
        if "action:destroy AND subject_type:PRODUCT" not in (query or ""):
            raise GraphQLError("the simulator only supports deletion events of products")
        return self._page(self.store.deletions, info, query=query, **page)

    def _web_pixel(self, info: GraphQLResolveInfo, id: str | None = None) -> Node:
        if self.web_pixel is None:
            raise GraphQLError("No web pixel was found for this app.")
        return self.web_pixel

    def _orders(self, info: GraphQLResolveInfo, **page: Any) -> Node:
        return self._page(list(self.store.orders.values()), info, wrap=self._order, **page)

    def _order(self, node: Node | None) -> Node | None:
        if node is None:
            return None
        lines, refunds = node["lineItems"], node["refunds"]
        return {
            **node,
            "lineItems": lambda info, **page: self._page(lines, info, **page),
            "refunds": lambda info, first=None: refunds[:first],
        }

    def _page(
        self,
        nodes: Sequence[Node],
        info: GraphQLResolveInfo,
        first: int | None = None,
        after: str | None = None,
        query: str | None = None,
        sortKey: str | None = None,  # noqa: N803
        wrap: Any = lambda node: node,
        **_: Any,
    ) -> Node:
        """One page. Its cursor names the last node, so it stays valid when nodes come and go."""
        in_bulk = info.context["bulk"]
        if not in_bulk and (not first or first > MAX_PAGE):
            raise GraphQLError(f"you must provide one of first or last, at most {MAX_PAGE}")
        key = {"UPDATED_AT": "updatedAt", "CREATED_AT": "createdAt"}.get(sortKey or "")
        places = [
            ([node.get(key, "") if key else "", "" if sortKey is None else node["id"]], number, node)
            for number, node in enumerate(_found(nodes, query))
        ]
        if sortKey is not None:
            places.sort(key=lambda place: place[0])
        else:
            places = [([f"{number:09d}", ""], number, node) for _, number, node in places]
        if after is not None:
            last = self._read_cursor(after)
            places = [place for place in places if place[0] > last]
        shown = places if in_bulk else places[:first]
        wrapped = [wrap(node) for _, _, node in shown]
        return {
            "nodes": wrapped,
            "edges": [{"node": node, "cursor": ""} for node in wrapped],
            "pageInfo": {
                "hasNextPage": len(shown) < len(places),
                "hasPreviousPage": after is not None,
                "endCursor": self._cursor(shown[-1][0]) if shown else None,
            },
        }

    def _cursor(self, place: list[str]) -> str:
        return base64.b64encode(msgspec.json.encode([self.cursors_of, place])).decode()

    def _read_cursor(self, cursor: str) -> list[str]:
        generation, place = msgspec.json.decode(base64.b64decode(cursor))
        if generation != self.cursors_of:
            raise GraphQLError("Invalid cursor for current pagination sort.")
        return place

    # --- bulk operations

    def _run_bulk(self, info: GraphQLResolveInfo, query: str, groupObjects: bool = True) -> Node:  # noqa: N803
        number = str(len(self._operations) + 1)
        operation = {
            "__typename": "BulkOperation",
            "id": f"gid://shopify/BulkOperation/{number}",
            "status": "RUNNING",
            "createdAt": datetime.now(UTC).isoformat(),
            "objectCount": "0",
            "query": query,
        }
        self._operations[operation["id"]] = operation
        threading.Thread(target=self._gather, args=(operation, query, number), daemon=True).start()
        return {"bulkOperation": operation, "userErrors": []}

    def _gather(self, operation: Node, query: str, number: str) -> None:
        result = self._execute(query, None, bulk=True)
        lines = list(_bulk_lines(result.get("data") or {}))
        content = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
        self._files[number] = content[: len(content) // 2] if self.bulk_is_cut else content
        completed = self.bulk_ends_as == "COMPLETED" and "errors" not in result
        url = f"{self.url}/bulk/{number}"
        operation |= {
            "objectCount": str(len(lines)),
            "fileSize": str(len(content)),
            "url": url if completed and lines else None,
            "partialDataUrl": None if completed else url,
            "errorCode": None if completed else "INTERNAL_SERVER_ERROR",
            "completedAt": datetime.now(UTC).isoformat(),
        }
        operation["status"] = "COMPLETED" if completed else "FAILED"


def _bulk_lines(node: Node, parent: str | None = None) -> Iterator[Node]:
    """A result in Shopify's bulk format: one line per node of a connection, children after parents."""
    for value in node.values():
        if isinstance(value, dict) and "edges" in value:
            for edge in value["edges"]:
                own = {
                    key: inner
                    for key, inner in edge["node"].items()
                    if not (isinstance(inner, dict) and "edges" in inner)
                }
                yield own if parent is None else {**own, "__parentId": parent}
                yield from _bulk_lines(edge["node"], own["id"])


def _found(nodes: Sequence[Node], query: str | None) -> list[Node]:
    """The nodes matching a search; supports only the loader's searches."""
    if not query:
        return list(nodes)
    since = UPDATED_SINCE.search(query)
    if not since:
        raise GraphQLError(f"the simulator does not support the search {query!r}")
    moment, name = datetime.fromisoformat(since[1]), f"{since[0].split('_')[0]}At"
    return [node for node in nodes if datetime.fromisoformat(node[name]) >= moment]


def _objects(value: Any) -> int:
    """The number of objects in a response: the actual cost of a query."""
    if isinstance(value, list):
        return sum(_objects(one) for one in value)
    if not isinstance(value, dict):
        return 0
    return 1 + sum(_objects(inner) for key, inner in value.items() if key != "pageInfo")


def _refusal(message: str, code: str) -> Node:
    return {"errors": [{"message": message, "extensions": {"code": code}}]}


def _operation(document: DocumentNode) -> OperationDefinitionNode:
    return next(one for one in document.definitions if isinstance(one, OperationDefinitionNode))


def _first_field(document: DocumentNode) -> FieldNode:
    return next(one for one in _operation(document).selection_set.selections if isinstance(one, FieldNode))


def query_cost(document: DocumentNode) -> int:
    """The cost of a query by Shopify's documentation: object 1, connection 2 plus its nodes, mutation 10."""
    operation = _operation(document)
    start = 10 if operation.operation.value == "mutation" else 0
    return start + sum(_cost(selection) for selection in operation.selection_set.selections)


def _cost(node: Any) -> int:
    """The cost of one selection: a scalar is free; a list or connection costs `first` times its nodes."""
    if not getattr(node, "selection_set", None):
        return 0
    inner = sum(_cost(selection) for selection in node.selection_set.selections)
    if not isinstance(node, FieldNode):
        return inner
    if node.name.value == "pageInfo":
        return 0
    first = next((argument.value for argument in node.arguments if argument.name.value == "first"), None)
    if isinstance(first, IntValueNode):
        is_connection = any(
            getattr(one, "name", None) and one.name.value in ("nodes", "edges") for one in node.selection_set.selections
        )
        return 2 + int(first.value) * (inner if is_connection else 1 + inner)
    return inner if node.name.value == "edges" else 1 + inner


@contextmanager
def running_admin_api(api: AdminApi) -> Iterator[str]:
    """Run the API on a free loopback port in a thread of this process while the block runs; yields its URL."""
    config = uvicorn.Config(api, host="127.0.0.1", port=0, log_level="error", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="admin-api", daemon=True)
    thread.start()
    deadline = time.monotonic() + START_SECONDS
    while not server.started:
        if time.monotonic() > deadline or not thread.is_alive():
            raise RuntimeError("the simulated Admin API did not start")
        time.sleep(0.01)
    try:
        api.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        yield api.url
    finally:
        server.should_exit = True
        thread.join(START_SECONDS)
