"""What only Django knows of a request, for the middleware of `pumpkit.contrib.wsgi` or `asgi` around the application.

MIDDLEWARE = ["pumpkit.contrib.django.RequestFacts", ...]    # the first
"""

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http import Http404
from django.http.multipartparser import MultiPartParserError
from django.utils.functional import LazyObject, empty

#: What Django answers with a status below 500.
_ANSWERS = (Http404, PermissionDenied, SuspiciousOperation, BadRequest, MultiPartParserError)


class RequestFacts:
    """A middleware of Django that tells the route, the user and the error of a request to the one that records it.

    The route is that of the URL configuration, such as `/users/<int:pk>/`. The user is the name of `request.user`, if
    the application has looked at it: nothing is fetched from the database or the session for the record's sake. The
    error is the type of what a view raised, which Django itself answers with status 500 or as it was told to; what is
    another way to answer, such as `Http404` or `PermissionDenied`, is no error.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        if self._is_async:
            return self._answer(request)
        try:
            return self._get_response(request)
        finally:
            _tell(request)

    async def _answer(self, request: Any) -> Any:
        try:
            return await self._get_response(request)
        finally:
            _tell(request)

    def process_exception(self, request: Any, exception: Exception) -> None:
        """Tell what a view raised; Django goes on as it would without."""
        if not isinstance(exception, _ANSWERS):
            _facts(request)["pumpkit.error"] = type(exception).__name__


def _facts(request: Any) -> dict[str, Any]:
    """Return the environ or the scope, which the middleware around the application sees too."""
    facts: dict[str, Any] = request.scope if hasattr(request, "scope") else getattr(request, "environ", {})
    return facts


def _tell(request: Any) -> None:
    facts = _facts(request)
    match = request.resolver_match
    if match is not None and match.route is not None:
        # A pattern that is a regular expression begins with its own sign for the beginning.
        facts.setdefault("pumpkit.route", match.route if match.route.startswith(("/", "^")) else f"/{match.route}")
    user = _looked_at(request)
    if user is not None:
        facts.setdefault("pumpkit.user", user)


def _looked_at(request: Any) -> str | None:
    """Return the name of the user if it is in memory. A lazy object, or a deferred field, would be fetched."""
    user = vars(request).get("user")
    if isinstance(user, LazyObject):
        user = vars(user).get("_wrapped", empty)
        if user is empty:
            user = vars(request).get("_acached_user")
    try:
        name = vars(user).get(getattr(type(user), "USERNAME_FIELD", None))
        return None if name is None else str(name)
    except Exception:  # of a class that has code of its own, or no attributes
        return None
