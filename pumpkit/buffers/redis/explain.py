"""What failures of Redis mean: the errors of redis-py and of the operating system as errors of a buffer, in words."""

import contextlib
import re
import socket
import ssl
from collections.abc import Callable, Iterator

import redis
from redis.exceptions import RedisClusterException

from pumpkit.buffers.redis.url import Place
from pumpkit.errors import BufferConfigError, BufferError, BufferFull, BufferUnavailable

Kind = type[BufferError]

#: Codes of answers with what they are for us, and what to do. The server's own words stand before it.
_ANSWERS: dict[str, tuple[Kind, str]] = {
    "OOM": (BufferFull, "it is at its maxmemory; raise that, or let pumps drain the log"),
    "NOAUTH": (BufferConfigError, "it wants a password; write it into the URL, or name it by password-file"),
    "WRONGPASS": (BufferConfigError, "user or password is wrong"),
    "NOPERM": (BufferConfigError, "allow it for this user (ACL SETUSER)"),
    "DENIED": (BufferConfigError, "set a password on the server, or let it listen on the loopback interface only"),
    "WRONGTYPE": (BufferConfigError, "another program uses keys of this name; choose another `name` in the URL"),
    "MOVED": (BufferConfigError, "it belongs to a cluster; write redis+cluster://"),
    "ASK": (BufferConfigError, "it belongs to a cluster; write redis+cluster://"),
    "CROSSSLOT": (BufferConfigError, "it belongs to a cluster; write redis+cluster://"),
    "LOADING": (BufferUnavailable, "it has just started, and reads its data"),
    "READONLY": (BufferUnavailable, "it is a replica; after a fail-over, name the new master, or use sentinels"),
    "MASTERDOWN": (BufferUnavailable, "it is a replica that has lost its master"),
    "CLUSTERDOWN": (BufferUnavailable, "part of the cluster has no master; see `redis-cli cluster info`"),
    "TRYAGAIN": (BufferUnavailable, "the cluster moves these keys just now"),
    "NOREPLICAS": (BufferUnavailable, "too few replicas are connected for its min-replicas-to-write"),
    "MISCONF": (BufferUnavailable, "it cannot write to its disk; make room there, or see its log"),
    "BUSY": (BufferUnavailable, "a script has run for too long; see `redis-cli client list`, then SCRIPT KILL"),
    "NOSCRIPT": (BufferUnavailable, "its scripts were flushed; they are sent again"),
    "NOGROUP": (BufferUnavailable, "the group of a pump is gone; it is made again"),
}

#: The same by words of the answer, for those that have no code of their own.
_WORDS: list[tuple[str, Kind, str]] = [
    (r"No space left on device", BufferFull, "its disk is full; make room there"),
    (r"unknown command .SENTINEL", BufferConfigError, "no sentinel is there; name the ports of sentinels"),
    (r"unknown (sub)?command", BufferConfigError, "pumpkit needs Redis 6.2 or Valkey, with this command allowed"),
    (r"DB index is out of range|invalid DB index", BufferConfigError, "the URL names a database that it does not have"),
    (r"SELECT is not allowed in cluster mode", BufferConfigError, "write redis+cluster://, without a database"),
    (r"without any password configured", BufferConfigError, "leave user and password out of the URL"),
    (r"cluster support disabled|Cluster mode is not enabled", BufferConfigError, "it is no cluster; write redis://"),
    (r"executing the script can't|ACL failure in script", BufferConfigError, "allow it for this user (ACL SETUSER)"),
    (r"max number of clients", BufferUnavailable, "raise its maxclients, or find who keeps connections open"),
    (r"previous master is now", BufferUnavailable, "a fail-over is going on"),
    (r"lots are not covered|not covered by the cluster", BufferUnavailable, _ANSWERS["CLUSTERDOWN"][1]),
    (r"TTL exhausted", BufferUnavailable, "the cluster moves its keys"),
]

#: redis-py takes the code off an answer when it has a class for it.
_CODES: list[tuple[type[redis.RedisError], str]] = [
    (redis.OutOfMemoryError, "OOM"),
    (redis.BusyLoadingError, "LOADING"),
    (redis.ReadOnlyError, "READONLY"),
    (redis.exceptions.NoPermissionError, "NOPERM"),
    (redis.exceptions.NoScriptError, "NOSCRIPT"),
    (redis.exceptions.MasterDownError, "MASTERDOWN"),
    (redis.exceptions.ClusterDownError, "CLUSTERDOWN"),
    (redis.exceptions.TryAgainError, "TRYAGAIN"),
    (redis.exceptions.ClusterCrossSlotError, "CROSSSLOT"),
    (redis.exceptions.MovedError, "MOVED"),
    (redis.exceptions.AskError, "ASK"),
]


_A_CERTIFICATE = "a client certificate; name one by cert-file and key-file"


@contextlib.contextmanager
def explained(place: Place, closed: Callable[[], bool] | None = None) -> Iterator[None]:
    """Turn what redis-py raises into errors of the buffer: unavailable, full, or wrong as configured.

    `closed` tells whether the client was closed by us, which is then all there is to say. Errors of the caller, such
    as values that are no bytes (`redis.DataError`), pass as they are.
    """
    try:
        yield
    except redis.DataError:
        raise
    except (redis.RedisError, RedisClusterException, OSError) as error:
        if closed is not None and closed():
            raise BufferUnavailable(f"{place.shown} is closed") from error
        raise explanation(place, error) from error
    except (AttributeError, ValueError):  # what a client does that another thread closes
        if closed is not None and closed():
            raise BufferUnavailable(f"{place.shown} is closed") from None
        raise


def explanation(place: Place, error: Exception, who: str = "") -> BufferError:
    """Return the error of the buffer that says what `error` means; `who` is the server, if not the one of the place."""
    chain = list(_chain(error))
    known = next((one for one in chain if isinstance(one, BufferError)), None)
    if known is not None:
        return known
    kind, text = _of_tls(place, chain) or _of_network(place, chain) or _of_answer(place, chain)
    who = who or _node(place, chain)
    return kind(f"{place.shown}: {who + ': ' if who else ''}{text}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those it came from: redis-py wraps them, some of them several times."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _node(place: Place, chain: list[BaseException]) -> str:
    """Return which of several servers failed, if redis-py says so."""
    if place.mode in ("cluster", "sentinel"):
        for error in chain:
            found = re.search(r"(?:connecting to|reading from|writing to) ([^\s,]+:[0-9]+)", str(error))
            if found:
                return found[1]
    return ""


def _of_tls(place: Place, chain: list[BaseException]) -> tuple[Kind, str] | None:
    for error in chain:
        if isinstance(error, ssl.SSLCertVerificationError):
            said = error.verify_message
            if "mismatch" in said:
                advice = "name the host that it is for, or add verify-host=false if you know the server otherwise"
            elif "expired" in said or "not yet valid" in said:
                advice = "renew it, and check the clocks of both machines"
            else:
                advice = "name the certificate of its authority by ca-file"
            return BufferConfigError, f"the server's certificate cannot be trusted: {said}; {advice}"
    text = next((str(error) for error in chain if isinstance(error, ssl.SSLError)), "")
    if not text:
        return None
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text:
        return BufferConfigError, "it does not speak TLS at this port; correct the port, or write redis://"
    if "CERTIFICATE_REQUIRED" in text or "HANDSHAKE_FAILURE" in text:
        return BufferConfigError, f"it wants {_A_CERTIFICATE}"
    words = re.sub(r"\s*\(_ssl.*?\)", "", text)
    if re.search(r"ALERT|MISMATCH|PEM|NO_CERTIFICATE", text):
        return BufferConfigError, f"TLS failed: {words}; see ca-file, cert-file and key-file"
    return BufferUnavailable, f"TLS failed: {words}; if it always does, it may want {_A_CERTIFICATE}"


def _of_network(place: Place, chain: list[BaseException]) -> tuple[Kind, str] | None:
    for error in chain:
        if isinstance(error, socket.gaierror):
            return BufferUnavailable, f"the host cannot be found ({error.strerror}); correct its name, or see to DNS"
        if isinstance(error, ConnectionRefusedError):
            return BufferUnavailable, "nobody listens there; start the server, or correct the address"
        if isinstance(error, FileNotFoundError) and place.mode == "unix":
            return BufferUnavailable, "there is no such socket; start the server, or correct the path"
        if isinstance(error, PermissionError):
            return BufferConfigError, f"{error.strerror}; this user may not connect there"
    if isinstance(chain[0], redis.TimeoutError | TimeoutError) or any(isinstance(e, TimeoutError) for e in chain):
        hint = ", or it speaks no TLS there" if place.tls else ""
        return (
            BufferUnavailable,
            f"it did not answer in time; it hangs, is overloaded, or a firewall drops packets{hint}",
        )
    hint = f"if it always does, it may want {_A_CERTIFICATE if place.tls else 'TLS (rediss://)'}"
    for error in chain:
        if isinstance(error, ConnectionResetError | BrokenPipeError) or "Connection closed by server" in str(error):
            return BufferUnavailable, f"it closed the connection; {hint}"
    broken = next((error for error in chain if isinstance(error, OSError)), None)
    return (BufferUnavailable, f"the connection failed: {broken.strerror or broken}") if broken else None


def _of_answer(place: Place, chain: list[BaseException]) -> tuple[Kind, str]:
    for error in chain:
        text = re.sub(r"\s*script: [0-9a-f]{40}.*$", "", str(error))
        for words, kind, advice in _WORDS:
            if re.search(words, text):
                return kind, f"{text}; {advice}"
        code = _code(error, text)
        if code in _ANSWERS:
            kind, advice = _ANSWERS[code]
            if code in ("MOVED", "ASK", "CROSSSLOT") and place.mode == "cluster":
                kind, advice = BufferUnavailable, "the cluster moves its keys"
            return kind, f"{text}; {advice}"
    return BufferUnavailable, str(chain[0]) or type(chain[0]).__name__


def _code(error: BaseException, text: str) -> str:
    """Return the code of an answer: `OOM`, `NOAUTH` and so on, "" if there is none."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    if isinstance(error, redis.AuthenticationError):
        return "NOAUTH" if "required" in text else "WRONGPASS"
    if not isinstance(error, redis.ResponseError):
        return ""
    # In 6.2 a script wraps it: "... @user_script:1: WRONGTYPE ...", or "... @user_script: 1: -OOM ..."
    inside = re.search(r"(?:^|[:\s]-|@user_script:\d+: )([A-Z]{3,})\b", text)
    return inside[1] if inside else ""
