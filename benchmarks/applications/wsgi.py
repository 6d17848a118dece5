"""The application in Flask."""

import time

from flask import Flask, Response, jsonify, request

from benchmarks.applications import decisions

app = Flask(__name__)


@app.post("/decide")
def decide() -> Response:
    """Answer a request."""
    if decisions.WAIT:
        time.sleep(decisions.WAIT)
    return Response(decisions.answer(request.get_data()), mimetype="application/json")


@app.get("/state")
def state() -> Response:
    """Tell what the requests took."""
    return jsonify(decisions.state())


@app.get("/switch/<reporting>")
def switch(reporting: str) -> Response:
    """Switch reporting on or off."""
    return jsonify(decisions.switch(reporting == "on"))
