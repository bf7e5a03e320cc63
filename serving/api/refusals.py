"""What is answered instead of what was asked for: the fact and the remedy.

What went wrong in a request flows in; {error, remedy} flows out.
"""

import msgspec
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from serving.errors import ServingError


def refusal(status: int, error: str, remedy: str, headers: dict[str, str]) -> Response:
    """A refusal, ready to send."""
    body = msgspec.json.encode(Refusal(error, remedy))
    return Response(body, status, {"cache-control": "no-store", **headers}, "application/json")


async def refuse(_: Request, problem: "Problem") -> Response:
    """For a `Problem`."""
    return refusal(problem.status, problem.error, problem.remedy, problem.headers)


async def refuse_parameters(_: Request, error: RequestValidationError) -> Response:
    """For parameters that are not as described."""
    faults = [f"{fault['loc'][-1]}: {fault['msg']}" for fault in error.errors()]
    return refusal(422, "; ".join(faults), "Correct what is named; /openapi.json describes every parameter.", {})


async def refuse_route(_: Request, error: HTTPException) -> Response:
    """For a path or a method that is not there."""
    remedy = "/openapi.json says what is here and with which method."
    return refusal(error.status_code, f"{error.detail}.", remedy, dict(error.headers or {}))


class Problem(ServingError):
    """A request that is not answered as asked: the fact, and what to do about it."""

    def __init__(self, status: int, error: str, remedy: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(error)
        self.status, self.error, self.remedy, self.headers = status, error, remedy, headers or {}


class Refusal(msgspec.Struct, frozen=True):
    """What is wrong, and what to do about it."""

    error: str
    remedy: str
