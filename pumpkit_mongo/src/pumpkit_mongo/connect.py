"""Connecting: the driver's client of one sink, made from its settings."""

import logging
import re
import warnings
from typing import Any

import pymongo
from pymongo.database import Database
from pymongo.errors import PyMongoError
from pymongo.write_concern import WriteConcern

from pumpkit import ConfigError, Unavailable
from pumpkit_mongo.originals import SettingsOfOriginals
from pumpkit_mongo.settings import shown
from pumpkit_mongo.verdicts import verdict

Client = pymongo.MongoClient[dict[str, Any]]

#: Where no setting and no URL names one.
DEFAULT_DATABASE = "pumpkit"

#: Milliseconds between two looks at a server, unless the URL says: so soon one that came back, or became primary, is
#: written to again. The driver's own default is ten seconds.
HEARTBEAT = 2_000


#: Seconds within which a server has to be found, below those of all that `init` does.
PATIENCE = 10.0


def place(settings: SettingsOfOriginals) -> str:
    """Return what errors call the server."""
    return f"MongoDB at {shown(settings.url.reveal())}"


def connect(settings: SettingsOfOriginals, pump: str) -> Client:
    """Return a client that has reached the server, and logged in. Raises a verdict."""
    logging.getLogger("pymongo").setLevel(logging.WARNING)  # below, it logs commands with their documents
    for path in (settings.tls_ca_file, settings.tls_certificate_key_file):
        if path is not None and not path.is_file():
            raise ConfigError(f"{path}: there is no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # an option of the URL that has a newer name
            client: Client = pymongo.MongoClient(settings.url.reveal(), **_options(settings, pump))
    except (PyMongoError, ValueError, OSError) as error:
        raise ConfigError(f"{place(settings)}: {type(error).__name__}: {_without(settings, str(error))}") from None
    try:
        with pymongo.timeout(min(PATIENCE, client.options.server_selection_timeout)):
            client.admin.command("ping")
    except PyMongoError as error:
        client.close()
        found = verdict(error, place(settings))
        sign = "No servers found" if settings.tls else "reset by peer|connection closed"
        if isinstance(found, Unavailable) and re.search(sign, str(found)):
            found = Unavailable(f"{found} (does one side speak TLS, and not the other? see `tls`)")
        raise found from None  # the driver's own may show more than is to be seen
    except BaseException:
        client.close()
        raise
    return client


def database(client: Client, settings: SettingsOfOriginals) -> Database[dict[str, Any]]:
    """Return the database, with the write concern of all that is written. Raises ConfigError for none at all."""
    named: Database[dict[str, Any]] = (
        client[settings.database] if settings.database else client.get_default_database(DEFAULT_DATABASE)
    )
    concern = named.write_concern
    if not concern.acknowledged:  # only known now of a mongodb+srv:// URL
        raise ConfigError(f"{place(settings)}: the URL has w=0, so that nothing would be known of a write: see `url`")
    if "w" not in concern.document:
        named = named.with_options(write_concern=WriteConcern("majority", **concern.document))
    return named


def _options(settings: SettingsOfOriginals, pump: str) -> dict[str, Any]:
    """Return what is said beside the URL. What stands here wins."""
    options: dict[str, Any] = {"appname": f"pumpkit {pump}"[:128]}
    if not re.search("[?&]heartbeatFrequencyMS=", settings.url.reveal(), re.IGNORECASE):
        options["heartbeatFrequencyMS"] = HEARTBEAT
    secrets = {"password": settings.password, "tlsCertificateKeyFilePassword": settings.tls_certificate_key_password}
    plain: dict[str, Any] = {
        "w": settings.write_concern,
        "username": settings.username or None,
        "authSource": settings.auth_source or None,
        "authMechanism": settings.auth_mechanism or None,
        "tls": settings.tls,
        "tlsCAFile": settings.tls_ca_file and str(settings.tls_ca_file),
        "tlsCertificateKeyFile": settings.tls_certificate_key_file and str(settings.tls_certificate_key_file),
        "tlsAllowInvalidCertificates": settings.tls_allow_invalid_certificates or None,
        "tlsAllowInvalidHostnames": settings.tls_allow_invalid_hostnames or None,
        "directConnection": settings.mongo_direct_connection or None,
        **{name: secret and secret.reveal() for name, secret in secrets.items()},
    }
    return options | {name: value for name, value in plain.items() if value is not None}


def _without(settings: SettingsOfOriginals, text: str) -> str:
    """Return text without the URL and the passwords."""
    secrets = [settings.url, settings.password, settings.tls_certificate_key_password]
    for secret in filter(None, secrets):
        text = text.replace(secret.reveal() or "\0", "***")
    return text
