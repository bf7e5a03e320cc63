"""Error responses: what is wrong and what to do about it.

Takes the exceptions that a request raises, writes {error, remedy}.
"""

import msgspec
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from serving.errors import ServingError


def refusal(status: int, error: str, remedy: str, headers: dict[str, str]) -> Response:
    """An error response, ready to send."""
    body = msgspec.json.encode(Refusal(error, remedy))
    return Response(body, status, {"cache-control": "no-store", **headers}, "application/json")


async def refuse(_: Request, problem: "Problem") -> Response:
    """Handle a `Problem`."""
    return refusal(problem.status, problem.error, problem.remedy, problem.headers)


async def refuse_parameters(_: Request, error: RequestValidationError) -> Response:
    """Handle invalid parameters."""
    faults = [f"{fault['loc'][-1]}: {fault['msg']}" for fault in error.errors()]
    return refusal(422, "; ".join(faults), "Correct these parameters; /openapi.json describes them all.", {})


async def refuse_route(_: Request, error: HTTPException) -> Response:
    """Handle an unknown path or method."""
    remedy = "/openapi.json lists the available paths and methods."
    return refusal(error.status_code, f"{error.detail}.", remedy, dict(error.headers or {}))


class Problem(ServingError):
    """A request that cannot be served: what is wrong, and what to do about it."""

    def __init__(self, status: int, error: str, remedy: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(error)
        self.status, self.error, self.remedy, self.headers = status, error, remedy, headers or {}


class Refusal(msgspec.Struct, frozen=True):
    """What is wrong, and what to do about it."""

    error: str
    remedy: str
