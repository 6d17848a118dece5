"""From settings to a client that has seen its server."""

import logging
import re
from pathlib import Path
from typing import Any

import attrs
from elasticsearch import ApiError, AuthorizationException, Elasticsearch, OrjsonSerializer, TransportError

from pumpkit import ConfigError
from pumpkit_es import answers
from pumpkit_es.hosts import Host, parse
from pumpkit_es.originals import SettingsOfOriginals
from pumpkit_es.warned import log_warnings

#: Seconds that one question at the start may take; three of them fit into what `init` has.
PATIENCE = 8.0

#: The oldest server that is spoken to.
OLDEST = (8, 0)


@attrs.frozen
class Connection:
    """A client that has seen its server."""

    client: Elasticsearch
    #: The addresses, for messages.
    hosts: str
    #: Major and minor version of the server; (0, 0) where the credentials are not allowed to know it.
    version: tuple[int, int]


def connect(settings: SettingsOfOriginals) -> Connection:
    """Return a client whose server has answered. Raises ConfigError, Unavailable, or TimeoutError."""
    hosts = parse(settings.hosts)
    named = ", ".join(host.url for host in hosts)
    _quieten()
    options = _login(settings, hosts[0])
    try:
        if any(host.is_tls for host in hosts):
            options |= _tls(settings)
        client = Elasticsearch(
            [host.url for host in hosts],
            serializers={"application/json": OrjsonSerializer()},
            max_retries=len(hosts) - 1,  # where one host is down another is asked at once; the rest is the pump's
            retry_on_status=(),
            retry_on_timeout=False,
            request_timeout=PATIENCE,
            http_compress=settings.compress,
            sniff_on_node_failure=settings.sniff,
            **options,
        )
    except (OSError, ValueError) as error:
        raise ConfigError(f"{named}: {error}") from None
    try:
        return Connection(client, named, _version(client, named))
    except BaseException:
        client.close()
        raise


def _version(client: Elasticsearch, named: str) -> tuple[int, int]:
    """Ask for the version: see that an Elasticsearch answers, lets this client in, and is not too old."""
    try:
        with log_warnings():
            about = client.info()
    except (ApiError, TransportError) as error:
        if isinstance(error, AuthorizationException) and "security_exception" in str(error.message):
            return 0, 0  # let in, but not to know this: a role for writing alone may be so
        raise answers.of_request(error, named) from None
    number = str(about.get("version", {}).get("number", ""))
    found = re.match(r"(\d+)\.(\d+)", number)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    if found and version < OLDEST:
        raise ConfigError(f"{named}: the server is Elasticsearch {number}; the oldest that is supported is {OLDEST[0]}")
    return version


def _login(settings: SettingsOfOriginals, host: Host) -> dict[str, Any]:
    api_key = settings.api_key.reveal() if settings.api_key else ""
    if api_key:
        return {"api_key": (settings.api_key_id, api_key) if settings.api_key_id else api_key}
    password = settings.password.reveal() if settings.password else ""
    if settings.username:
        return {"basic_auth": (settings.username, password)}
    return {"basic_auth": (host.username, host.password)} if host.username else {}


def _tls(settings: SettingsOfOriginals) -> dict[str, Any]:
    options: dict[str, Any] = {"verify_certs": settings.verifies(), "ssl_show_warn": False}
    for name, path in (
        ("ca_certs", settings.ca_file),
        ("client_cert", settings.client_cert),
        ("client_key", settings.client_key),
    ):
        if path:
            options[name] = _readable(path)
    if settings.ca_fingerprint:
        options["ssl_assert_fingerprint"] = settings.ca_fingerprint
    return options


def _readable(path: Path) -> str:
    with path.open("rb"):
        return str(path)


def _quieten() -> None:
    """Let the client's own loggers tell errors alone, unless somebody has set their level: verdicts say the rest."""
    for name in ("elastic_transport", "elasticsearch", "urllib3"):
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.ERROR)
