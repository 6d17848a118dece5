"""The service: `POST /v1/authz` answers whether a request is allowed, and records that it was asked."""

import asyncio
import contextlib
import json
import math
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from pumpkit import ConfigError
from pumpkit.contrib.authz import Verdict, recorded
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from authz_service import policies, settings

#: The code in the original's answer to a body that is no request.
CANNOT_BIND = 100003


def create() -> Starlette:
    """Return the service that `$AUTHZ_CONFIG` configures, `authz.yaml` by default; uvicorn calls it in each process.

    A wrong configuration is told on stderr, and ends the process with exit code 78.
    """
    try:
        return make(settings.load(Path(os.environ.get("AUTHZ_CONFIG", "authz.yaml"))))
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(78)


def make(config: settings.Settings) -> Starlette:
    """Return a service. Raises pumpkit.ConfigError if the policies cannot be used."""
    users = policies.load(config.policies)
    reporter = config.analytics.reporter(config.buffer)

    @recorded(
        username=lambda request: request["context"]["username"],
        request=lambda request: request,
        reporter=reporter,
        omit_detailed=not config.analytics.enable_detailed_recording,
    )
    def decide(request: dict[str, Any]) -> Verdict:
        return users.get(request["context"]["username"], policies.NO_POLICIES).decide(request)

    async def authorize(http: Request) -> JSONResponse:
        try:
            request = asked(await http.body())
            request["context"]["username"] = caller(http)
        except ValueError as error:
            return JSONResponse({"code": CANNOT_BIND, "message": str(error)}, status_code=400)
        verdict = decide(request)
        if verdict:
            return JSONResponse({"allowed": True})
        reason = "Request was forcefully denied" if verdict.deciders else "Request was denied by default"
        return JSONResponse({"allowed": False, "denied": True, "reason": reason})

    async def health(http: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(reporter.close)  # it waits, which the event loop must not

    routes = [Route("/v1/authz", authorize, methods=["POST"]), Route("/healthz", health)]
    return Starlette(routes=routes, lifespan=lifespan)


def caller(http: Request) -> str:
    """Return who asks, as the header says. Raises ValueError if that is not UTF-8."""
    try:
        return http.headers.get("x-username", "").encode("latin-1").decode()  # Starlette gives bytes as Latin-1
    except UnicodeDecodeError:
        raise ValueError("X-Username must be UTF-8") from None


def asked(body: bytes) -> dict[str, Any]:
    """Return the request in a body, with the original's fields. Raises ValueError saying what is wrong with it."""
    try:
        values = json.loads(body, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the body is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise ValueError("the body must be a JSON object")
    request: dict[str, Any] = {}
    for name in ("resource", "action", "subject"):
        request[name] = values.get(name, "")
        if not isinstance(request[name], str):
            raise ValueError(f"{name} must be text")
    request["context"] = values.get("context") or {}
    if not isinstance(request["context"], dict):
        raise ValueError("context must be an object")
    return request


def _finite(text: str) -> float:
    """Return a number. Raises ValueError for those that Python reads and JSON does not have: NaN and Infinity."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number")
    return number
