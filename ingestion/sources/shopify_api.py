"""Client of one shop's Admin GraphQL API: pages and bulk files, with throttling and retries.

Sends queries; returns nodes or raises a ShopifyError. Never returns a partial list: every error of Shopify is raised,
even if it comes with HTTP 200.
"""

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import requests
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator

from ingestion.shops import Shop
from ingestion.sources.shopify_errors import CursorExpired, Gone, ShopifyError, Unreachable
from ingestion.sources.shopify_queries import API_VERSION, BULK_STATUS, RUN_BULK
from ingestion.sources.shopify_token import Token, token_of

URL_VARIABLE = "PIXELNOVA_SHOPIFY_URL"  # for the simulator; default: Shopify's address
ATTEMPTS = 5
MAX_RETRY_SECONDS = 60.0  # whatever Retry-After says
MAX_THROTTLED_SECONDS = 600.0  # of one request
TIMEOUT_SECONDS = (10, 60)  # to connect, to answer
BULK_POLL_SECONDS = (0.5, 30.0)  # between polls of a bulk operation: first, and at most
BULK_SECONDS = 6 * 3600.0

Node = dict[str, Any]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BulkFile:
    """The result of a bulk operation: a JSONL file, when it was requested (our clock) and started (Shopify's)."""

    path: Path
    asked_at: datetime
    created_at: str


@dataclass(frozen=True)
class AdminApi:
    """The address of one shop's Admin API, and its token. newest_answer: when the newest loaded rows were fetched."""

    shop: str
    url: str
    token: Token
    newest_answer: datetime | None = None

    def pages(self, path: str, document: str, /, **variables: Any) -> Iterator[list[Node]]:
        """The nodes of a connection, page after page.

        Args:
            path: path of the connection in the response's data, e.g. "products" or "product.variants".

        Raises:
            ShopifyError: no answer, a refusal, or any GraphQL error.
            CursorExpired: the next page's cursor has expired.
            Gone: the object that has the connection no longer exists.
        """
        pages = self._client.paginate(
            "graphql.json",
            method="POST",
            json={"query": document, "variables": variables},
            data_selector=f"data.{path}.nodes",
            paginator=JSONResponseCursorPaginator(
                cursor_path=f"data.{path}.pageInfo.endCursor",
                cursor_body_path="variables.after",
                has_more_path=f"data.{path}.pageInfo.hasNextPage",
            ),
        )
        try:
            for page in pages:
                yield list(page)
        except ValueError as error:  # the paginator did not find the connection
            raise Gone(f"The Admin API of {self.shop} no longer has the requested {path}.") from error

    def ask(self, document: str, /, **variables: Any) -> Node:
        """The data of the response to one query.

        Raises:
            ShopifyError: no answer, a refusal, or any GraphQL error.
        """
        answer = self._client.post("graphql.json", json={"query": document, "variables": variables})
        return answer.json()["data"]

    def bulk(self, query: str, folder: Path) -> BulkFile:
        """Run a bulk operation, wait for it, and fetch its file whole into `folder`.

        Raises:
            ShopifyError: it failed, or its file is not the announced one. Partial results are discarded.
        """
        asked_at = datetime.now(UTC)
        started = self.ask(RUN_BULK, query=query)["bulkOperationRunQuery"]
        if started["userErrors"] or not started["bulkOperation"]:
            messages = "; ".join(error["message"] for error in started["userErrors"])
            raise ShopifyError(
                f"The Admin API of {self.shop} does not start a bulk operation: {messages}. Run again later."
            )
        operation = self._finished(started["bulkOperation"]["id"])
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"bulk-{self.shop}-{operation['id'].rpartition('/')[2]}.jsonl"
        if operation["url"] is None:  # no results
            target.touch()
        else:
            self._download(operation, target)
        return BulkFile(target, asked_at, operation["createdAt"])

    def _finished(self, operation_id: str) -> Node:
        pause, deadline = BULK_POLL_SECONDS[0], time.monotonic() + BULK_SECONDS
        while True:
            operation = self.ask(BULK_STATUS, id=operation_id)["node"] or {"status": "EXPIRED", "errorCode": "unknown"}
            if operation["status"] == "COMPLETED":
                return operation
            if operation["status"] in ("FAILED", "CANCELED", "EXPIRED"):
                raise ShopifyError(
                    f"The bulk operation of {self.shop} ended as {operation['status']} ({operation['errorCode']}), "
                    f"after {operation.get('objectCount')} objects; nothing of it is loaded. Run again."
                )
            if time.monotonic() > deadline:
                raise ShopifyError(f"The bulk operation of {self.shop} has run for {BULK_SECONDS / 3600:.0f} hours.")
            gathered = operation["objectCount"]
            log.info("%s: Shopify has gathered %s objects", self.shop, gathered, extra={"shop": self.shop})
            time.sleep(pause)
            pause = min(pause * 1.5, BULK_POLL_SECONDS[1])

    def _download(self, operation: Node, target: Path) -> None:
        size = 0
        try:
            with requests.get(operation["url"], stream=True, timeout=TIMEOUT_SECONDS) as answer:
                answer.raise_for_status()
                with target.open("wb") as file:
                    for block in answer.iter_content(1 << 20):
                        file.write(block)
                        size += len(block)
        except requests.RequestException as error:
            raise ShopifyError(f"The bulk file of {self.shop} cannot be fetched ({error}); run again.") from error
        if size != int(operation["fileSize"] or 0):
            raise ShopifyError(
                f"The bulk file of {self.shop} has {size} bytes where Shopify announced {operation['fileSize']}; "
                "nothing of it is loaded. Run again."
            )

    @cached_property
    def _client(self) -> RESTClient:
        return RESTClient(
            base_url=self.url,
            session=_Session(self.shop, self.url, self.token),
        )


class _Session(requests.Session):
    """Sends a request until it gets data: waits out throttling and retries transient failures."""

    def __init__(self, shop: str, url: str, token: Token) -> None:
        super().__init__()
        self._shop, self._url, self._token = shop, url, token

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """The response, without errors.

        Raises:
            ShopifyError: the request failed; the message has the cause and the remedy.
        """
        options["timeout"] = TIMEOUT_SECONDS
        request.hooks = {}  # RESTClient's own hook raises before the response can be inspected
        failures, throttled, renewed = 0, 0.0, False
        while True:
            token = self._token.value()
            request.headers["X-Shopify-Access-Token"] = token
            try:
                answer = super().send(request, **options)
            except requests.RequestException as error:
                problem, pause = f"cannot be reached at {self._url} ({type(error).__name__})", None
            else:
                if answer.status_code == 401 and not renewed and self._token.renew(token):
                    renewed = True
                    continue
                errors = self._errors(answer)
                if answer.ok and not errors:
                    return answer
                problem, pause = self._transient_failure(answer, errors)
                if _codes(errors) == {"THROTTLED"} and throttled < MAX_THROTTLED_SECONDS:
                    log.info("%s: throttled for %.1f s", self._shop, pause, extra={"shop": self._shop})
                    throttled += pause
                    time.sleep(pause)
                    continue
            failures += 1
            if failures == ATTEMPTS:
                raise Unreachable(f"The Admin API of {self._shop} {problem}: check the network and run again.")
            time.sleep(pause or 0.2 * 2**failures)

    def _errors(self, answer: requests.Response) -> list[Node]:
        """The response's GraphQL errors.

        Raises:
            ShopifyError: a permanent refusal, or not a GraphQL response.
        """
        status = answer.status_code
        if status in (401, 403):
            raise ShopifyError(
                f"The Admin API of {self._shop} refuses the token (HTTP {status}): {self._token.remedy()}."
            )
        if status in (402, 423):
            raise ShopifyError(f"The store {self._shop} is frozen or locked (HTTP {status}); its admin shows why.")
        if status == 404:
            raise ShopifyError(
                f"There is no Admin API {API_VERSION} at {self._url} (HTTP 404): check the domain in shops.toml, "
                "and whether Shopify still serves this version."
            )
        served = answer.headers.get("X-Shopify-API-Version", API_VERSION)
        if served != API_VERSION:
            raise ShopifyError(
                f"Shopify serves API version {served} in place of {API_VERSION}, which is no longer supported: update "
                "Pixelnova."
            )
        if status == 429 or status >= 500:
            return []
        try:
            content = answer.json()
            errors = content.get("errors") or []
        except (ValueError, AttributeError):
            raise ShopifyError(f"The Admin API of {self._shop} does not answer with JSON (HTTP {status}).") from None
        if isinstance(errors, list) and all(isinstance(error, dict) for error in errors):
            if answer.ok and not errors and not isinstance(content.get("data"), dict):
                raise ShopifyError(f"The Admin API of {self._shop} answers without data.")
            return errors
        return [{"message": str(errors)}]

    def _transient_failure(self, answer: requests.Response, errors: Sequence[Node]) -> tuple[str, float | None]:
        """The transient failure, and how long to wait before the retry (None: the default pause).

        Raises:
            ShopifyError: a retry would not help.
        """
        if answer.status_code == 429 or answer.status_code >= 500:
            after = answer.headers.get("Retry-After", "")
            pause = min(float(after), MAX_RETRY_SECONDS) if after.replace(".", "", 1).isdigit() else None
            return f"answers HTTP {answer.status_code}", pause
        if _codes(errors) == {"THROTTLED"}:
            return "throttles for too long", _seconds_to_wait(answer.json())
        if _codes(errors) == {"INTERNAL_SERVER_ERROR"}:
            return "fails internally", None
        messages = "; ".join(str(error.get("message")) for error in errors)
        if "cursor" in messages.lower():
            raise CursorExpired(f"The Admin API of {self._shop} has dropped a page's cursor: {messages}")
        if "ACCESS_DENIED" in _codes(errors):
            raise ShopifyError(
                f"The Admin API of {self._shop} denies access: {messages} Give the app that scope, release the version "
                f"and accept it in the store; `pixelnova connect check {self._shop}` shows what is missing."
            )
        raise ShopifyError(f"The Admin API of {self._shop} answers with an error: {messages or answer.reason}")


def _codes(errors: Sequence[Node]) -> set[str]:
    return {(error.get("extensions") or {}).get("code", "") for error in errors}


def _seconds_to_wait(answer: Node) -> float:
    """Seconds until the bucket holds the cost of the query."""
    cost = (answer.get("extensions") or {}).get("cost") or {}
    status = cost.get("throttleStatus") or {}
    missing = (cost.get("requestedQueryCost") or 0) - (status.get("currentlyAvailable") or 0)
    return max(0.1, missing / max(status.get("restoreRate") or 50, 1))


def admin_apis(shops: Sequence[Shop], environment: Mapping[str, str] = os.environ) -> list[AdminApi]:
    """The Admin APIs of the shops that have a token or client credentials in the environment."""
    apis = []
    for shop in shops:
        base = environment.get(URL_VARIABLE, f"https://{shop.domain}").rstrip("/")
        token = token_of(shop.domain, base, environment)
        if token:
            apis.append(AdminApi(shop.domain, f"{base}/admin/api/{API_VERSION}", token))
    return apis
