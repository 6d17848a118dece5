"""A Redis server that speaks only TLS. Only Debian's redis-server does; the wheels are built without it."""

from pathlib import Path

import redis

from tests.servers.certificates import Certificates
from tests.servers.redis import RedisServer


class TlsRedisServer(RedisServer):
    """A server with one of the certificates; `clients` is whether it asks its clients for theirs: no, optional, yes."""

    def __init__(
        self, program: Path, certificates: Certificates, *options: str, certificate: str = "server", clients: str = "no"
    ) -> None:
        super().__init__(program, *options)
        self.certificates = certificates
        self._tls = ["--tls-port", str(self.port), "--tls-auth-clients", clients, "--tls-replication", "yes"]
        self._tls += ["--tls-cert-file", str(certificates.file(certificate))]
        self._tls += ["--tls-key-file", str(certificates.key(certificate))]
        self._tls += ["--tls-ca-cert-file", str(certificates.file("ca"))]

    @property
    def url(self) -> str:
        """Where it is, for a client that trusts the authority."""
        return f"rediss://127.0.0.1:{self.port}?ca-file={self.certificates.file('ca')}"

    def client(self) -> "redis.Redis":
        """Return a client of its own that shows a certificate and takes any; close it."""
        shown = {
            "ssl_certfile": str(self.certificates.file("client")),
            "ssl_keyfile": str(self.certificates.key("client")),
        }
        return redis.Redis(port=self.port, ssl=True, ssl_cert_reqs="none", ssl_check_hostname=False, **shown)

    def command(self) -> list[str]:
        """Return the command that starts it."""
        command = super().command()
        command[command.index("--port") + 1] = "0"
        return [*command, *self._tls]
