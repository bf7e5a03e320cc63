"""Sends recorded or simulated events to a running collector, as the pixel would.

Posts request bodies concurrently and counts the collector's responses.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import httpx

from ingestion.errors import IngestionError

CONNECTIONS = 8
ATTEMPTS = 6  # the last after 12 seconds


class SendError(IngestionError):
    """The collector is unreachable or refuses; the message names the remedy."""


@dataclass(frozen=True)
class Post:
    """One request: the shop's ingest key, the body, and how many events it holds."""

    key: str
    body: bytes
    events: int


@dataclass
class Sent:
    """How many events were sent, and the collector's reasons for rejected ones."""

    events: int = 0
    rejected: list[str] = field(default_factory=list)


def send(url: str, posts: Iterable[Post], on_progress: Callable[[int], None] = lambda _: None) -> Sent:
    """Post everything, started in order, CONNECTIONS at a time.

    Args:
        url: the collector's, e.g. http://127.0.0.1:8787.
        on_progress: called with the number of events of each completed request.

    Raises:
        SendError: no response, or one that is neither a success nor a rejected body.
    """
    return asyncio.run(_send(url, posts, on_progress))


async def _send(url: str, posts: Iterable[Post], on_progress: Callable[[int], None]) -> Sent:
    sent = Sent()
    waiting = iter(posts)

    async def post_until_done(client: httpx.AsyncClient) -> None:
        for post in waiting:
            _count(sent, post, await _post(client, post))
            on_progress(post.events)

    limits = httpx.Limits(max_connections=CONNECTIONS)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=30, trust_env=False) as client:
        del client.headers["user-agent"]  # the collector would take it for a shopper's
        await asyncio.gather(*(post_until_done(client) for _ in range(CONNECTIONS)))
    return sent


async def _post(client: httpx.AsyncClient, post: Post) -> httpx.Response:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            answer = await client.post(
                f"/v1/events/{post.key}", content=post.body, headers={"content-type": "text/plain"}
            )
        except httpx.TransportError as error:
            problem = f"cannot be reached ({type(error).__name__})"
            remedy = "Start one with `pixelnova collect`, or leave out --url."
        else:
            if answer.status_code in (200, 204, 400, 413):
                return answer
            problem = f"answers {answer.status_code}: {answer.text[:200]}"
            remedy = "Look at its log and its /readyz: is the disk full?"
            if answer.status_code == 401:
                remedy = "Does the shops.toml that it was started with (--shops) have the shop with this key?"
            if answer.status_code != 429 and answer.status_code < 500:
                break
        if attempt < ATTEMPTS:
            await asyncio.sleep(0.2 * 2**attempt)
    raise SendError(f"The collector at {client.base_url} {problem}. {remedy}")


def _count(sent: Sent, post: Post, answer: httpx.Response) -> None:
    sent.events += post.events
    if answer.status_code == 204:
        return
    content = answer.json()
    if "rejected" in content:
        sent.rejected += [rejection["error"] for rejection in content["rejected"]]
    else:
        sent.rejected += [content["error"]] * post.events
