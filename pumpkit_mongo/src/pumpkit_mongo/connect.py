"""Connecting: the driver's client of one sink, made from its settings."""

from typing import Any

import pymongo
from pymongo.errors import PyMongoError

from pumpkit import ConfigError
from pumpkit_mongo.originals import SettingsOfOriginals
from pumpkit_mongo.settings import shown
from pumpkit_mongo.verdicts import verdict

Client = pymongo.MongoClient[dict[str, Any]]

#: Seconds that connecting may take, below those that the pump gives to `init`.
PATIENCE = 20.0


def place(settings: SettingsOfOriginals) -> str:
    """Return what errors call the server."""
    return f"MongoDB at {shown(settings.url.reveal())}"


def connect(settings: SettingsOfOriginals, pump: str) -> Client:
    """Return a client that has reached the server. Raises a verdict."""
    for path in (settings.tls_ca_file, settings.tls_certificate_key_file):
        if path is not None and not path.is_file():
            raise ConfigError(f"{path}: there is no such file")
    try:
        client: Client = pymongo.MongoClient(settings.url.reveal(), **_options(settings, pump))
    except (PyMongoError, ValueError, OSError) as error:
        raise ConfigError(f"{place(settings)}: {type(error).__name__}: {_without(settings, str(error))}") from None
    try:
        with pymongo.timeout(PATIENCE):
            client.admin.command("ping")
    except PyMongoError as error:
        client.close()
        raise verdict(error, place(settings)) from None  # the driver's own may show more than is to be seen
    except BaseException:
        client.close()
        raise
    return client


def _options(settings: SettingsOfOriginals, pump: str) -> dict[str, Any]:
    """Return what is said beside the URL. What stands here wins."""
    options: dict[str, Any] = {"appname": f"pumpkit {pump}"[:128], "tz_aware": True}
    url = settings.url.reveal()
    if settings.write_concern is not None:
        options["w"] = settings.write_concern
    elif "w=" not in url.partition("?")[2].lower().replace("&w=", "w="):
        options["w"] = "majority"
    secrets = {"password": settings.password, "tlsCertificateKeyFilePassword": settings.tls_certificate_key_password}
    plain: dict[str, Any] = {
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
