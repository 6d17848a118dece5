"""Servers by hand, until Ctrl-C or SIGTERM: `python -m tests.servers NAME [WORDS]` starts one and prints its URL.

python -m tests.servers mongo [auth|tls|quick-ttl]
python -m tests.servers elasticsearch [8|9] [security|tls]
python -m tests.servers redis [KIND] [MODE]          as `python -m tests.servers.redis`
"""

import signal
import sys
from collections.abc import Callable

from tests.servers import elasticsearch, mongo, redis
from tests.servers.certificates import Certificates
from tests.servers.process import ServerProcess

_ENDS = (signal.SIGINT, signal.SIGTERM)


def main() -> None:
    """Start what is asked for."""
    name, words = (sys.argv[1:2] or [""])[0], sys.argv[2:]
    if name == "redis":
        del sys.argv[1]
        redis.main()
        return
    makers: dict[str, Callable[[list[str], Certificates | None], ServerProcess]] = {
        "mongo": _mongo,
        "elasticsearch": _elasticsearch,
    }
    known = {"mongo": {"auth", "tls", "quick-ttl"}, "elasticsearch": {"8", "9", "security", "tls"}}
    if name not in makers or set(words) - known[name]:
        sys.exit(__doc__)
    certificates = Certificates.made() if "tls" in words else None
    server = makers[name](words, certificates)
    for end in _ENDS:  # a shell has its background jobs ignore SIGINT
        signal.signal(end, signal.default_int_handler)
    try:
        server.start()
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)  # none is to come between the last line and the wait
        print(server.url, flush=True)
        if certificates is not None:
            print(f"its authority: {certificates.file('ca')}", flush=True)
        signal.sigwait(_ENDS)
    except KeyboardInterrupt:
        pass
    finally:
        server.stop()
        if certificates is not None:
            certificates.remove()


def _mongo(words: list[str], certificates: Certificates | None) -> ServerProcess:
    if mongo.find() is None:
        sys.exit("it is not installed: python -m tests.servers.install")
    if "auth" in words:
        print("users: {} with {}, {} with {}".format(*mongo.ROOT, *mongo.READER))
    return mongo.MongoServer(auth="auth" in words, certificates=certificates, quick_ttl="quick-ttl" in words)


def _elasticsearch(words: list[str], certificates: Certificates | None) -> ServerProcess:
    major = 8 if "8" in words else 9
    lacking = elasticsearch.missing_for(major)
    if lacking:
        sys.exit(f"{lacking} is missing: python -m tests.servers.install")
    security = "security" in words or certificates is not None
    if security:
        print("user: {} with {}".format(*elasticsearch.ROOT))
    return elasticsearch.ElasticServer(major=major, security=security, certificates=certificates)


if __name__ == "__main__":
    main()
