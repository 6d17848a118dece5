"""A master and a replica that can be made to lag, behind one address."""

from types import TracebackType
from typing import Self

from tests.servers.proxy import Proxy
from tests.servers.redis import RedisServer, Replicated, wait_until


class LaggingPair:
    """Both are those of `servers`; clients go to `url`, also after a fail-over."""

    def __init__(self, servers: Replicated) -> None:
        self._servers = servers
        self._address, self._link = Proxy(servers.master.port), Proxy(servers.master.port)
        self.url = f"redis://127.0.0.1:{self._address.port}"
        self._follow(servers.replica, self._link.port)

    def _follow(self, replica: RedisServer, port: int) -> None:
        with replica.client() as client:
            client.replicaof("127.0.0.1", port)  # type: ignore[no-untyped-call]
            wait_until(lambda: client.info("replication")["master_link_status"] == "up", "the replica follows")

    def lag(self) -> None:
        """Let the replica see no more of what its master does."""
        self._link.mode = "blackhole"

    def fail_over(self) -> None:
        """Kill the master and make the replica one, as a sentinel would."""
        self._servers.master.kill()
        self._servers.promote()
        self._address.target = self._servers.replica.port
        self._address.mode = "reset"
        self._address.mode = "pass"

    def bring_back(self) -> None:
        """Start the dead one as a replica of the other."""
        self._servers.master.start()
        self._follow(self._servers.master, self._servers.replica.port)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._address.stop()
        self._link.stop()
