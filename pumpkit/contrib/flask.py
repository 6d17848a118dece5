"""Recording requests of a Flask application, with the errors that Flask answers by itself."""

from typing import Any, Unpack

from flask import Flask, got_request_exception, request

from pumpkit.contrib.web import Options
from pumpkit.contrib.wsgi import RecordRequests


def init_app(app: Flask, **options: Unpack[Options]) -> None:
    """Record the requests of an application, by `pumpkit.contrib.wsgi.RecordRequests` with these options.

    Flask answers what a view raises with status 500, so that no middleware sees it; here it is the record's `error`.
    """
    app.wsgi_app = RecordRequests(app.wsgi_app, **options)  # type: ignore[method-assign]
    got_request_exception.connect(_tell, app)


def _tell(app: Flask, exception: BaseException, **_: Any) -> None:
    request.environ["pumpkit.error"] = type(exception).__name__
