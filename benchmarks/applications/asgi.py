"""The application in Starlette."""

import asyncio

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from benchmarks.applications import decisions


async def decide(request: Request) -> Response:
    """Answer a request."""
    body = await request.body()
    if decisions.WAIT:
        await asyncio.sleep(decisions.WAIT)
    return Response(decisions.answer(body), media_type="application/json")


async def state(request: Request) -> Response:
    """Tell what the requests took."""
    return JSONResponse(decisions.state())


async def switch(request: Request) -> Response:
    """Switch reporting on or off."""
    return JSONResponse(decisions.switch(request.path_params["reporting"] == "on"))


app = Starlette(
    routes=[
        Route("/decide", decide, methods=["POST"]),
        Route("/state", state),
        Route("/switch/{reporting}", switch),
    ]
)
