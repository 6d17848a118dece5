"""A master with replicas, watched by sentinels that promote a replica about a second after the master dies."""

import contextlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import redis

from tests.servers.redis import RedisServer, free_port, wait_until

MASTER = "main"

#: Milliseconds without an answer after which a sentinel takes a server for dead.
DOWN_AFTER = 500


class Sentinels:
    """The servers, and sentinels of which a majority decides. Nobody knows beforehand which server is the master."""

    def __init__(self, program: Path, *options: str, replicas: int = 1, sentinels: int = 3) -> None:
        self.servers = [RedisServer(program, "--repl-diskless-sync-delay", "0", *options) for _ in range(1 + replicas)]
        self.ports = [free_port() for _ in range(sentinels)]
        self.processes: list[subprocess.Popen[bytes]] = []
        self._program = program
        self._folder = Path(tempfile.mkdtemp(prefix="pumpkit-sentinel-"))

    @property
    def url(self) -> str:
        """Where the master is to be found."""
        return f"redis+sentinel://{','.join(f'127.0.0.1:{port}' for port in self.ports)}/{MASTER}"

    def start(self) -> "Sentinels":
        """Start all and wait until the sentinels know each other and every replica."""
        first, *others = self.servers
        for server in self.servers:
            server.start()
        for server in others:
            with server.client() as client:
                client.replicaof("127.0.0.1", first.port)  # type: ignore[no-untyped-call]
        wait_until(lambda: self._replicas(first) == len(others), "the replicas follow")
        for port in self.ports:
            self._start_sentinel(port, first.port)
        wait_until(self._settled, "the sentinels know each other and every replica")
        return self

    def _start_sentinel(self, port: int, master: int) -> None:
        file = self._folder / f"{port}.conf"
        file.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {self._folder}\n"
            f"sentinel monitor {MASTER} 127.0.0.1 {master} {len(self.ports) // 2 + 1}\n"
            f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER}\n"
            f"sentinel failover-timeout {MASTER} 3000\n"
            f"sentinel parallel-syncs {MASTER} 5\n"
        )
        with (self._folder / "log").open("ab") as log:
            command = [str(self._program), str(file), "--sentinel"]
            self.processes.append(subprocess.Popen(command, stdout=log, stderr=log))

    @property
    def master(self) -> RedisServer:
        """The server that most recently became master, as the sentinels see it."""
        with redis.Redis(port=self.ports[0]) as sentinel:
            _, port = sentinel.sentinel_get_master_addr_by_name(MASTER)
        return next(server for server in self.servers if server.port == int(port))

    @property
    def replicas(self) -> list[RedisServer]:
        """The others."""
        master = self.master
        return [server for server in self.servers if server is not master]

    def fail_over(self) -> None:
        """Kill the master and wait until another one is promoted."""
        old = self.master
        old.kill()
        self.wait_for_another(old)

    def wait_for_another(self, old: RedisServer) -> None:
        """Wait until every sentinel knows another master, and it takes writes."""

        def another() -> bool:
            with contextlib.ExitStack() as stack:
                sentinels = [stack.enter_context(redis.Redis(port=port)) for port in self.ports]
                found = {int(one.sentinel_get_master_addr_by_name(MASTER)[1]) for one in sentinels}
            if len(found) != 1 or old.port in found:
                return False
            with self.master.client() as client:
                return bool(client.info("replication")["role"] == "master")

        wait_until(another, "a replica is promoted")

    def clean(self) -> None:
        """Make all as good as new. After a fail-over that is a new start: sentinels take their time to settle."""
        if not all(server.alive for server in self.servers) or not self._settled():
            self._kill()
            self.processes.clear()
            self.start()
        with self.master.client() as client:
            client.flushall()
            client.script_flush()
            wait_until(lambda: client.wait(len(self.servers) - 1, 1_000) == len(self.servers) - 1, "replicas follow")

    def _kill(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        for server in self.servers:
            server.kill()

    def _settled(self) -> bool:
        """Whether the sentinels agree on a master that has all other servers as replicas."""
        for port in self.ports:
            try:
                with redis.Redis(port=port) as sentinel:
                    state = sentinel.sentinel_masters()[MASTER]
                    replicas = sentinel.sentinel_slaves(MASTER)
            except redis.RedisError:
                return False
            known = [one for one in replicas if not one["is_sdown"] and one["master-link-status"] == "ok"]
            if state["is_sdown"] or len(known) != len(self.servers) - 1:
                return False
            if state["num-other-sentinels"] != len(self.ports) - 1:
                return False
        return self._replicas(self.master) == len(self.servers) - 1

    def _replicas(self, server: RedisServer) -> int:
        """Return how many replicas follow a server, -1 if it is no master."""
        with server.client() as client:
            facts = client.info("replication")
        if facts["role"] != "master":
            return -1
        return sum(facts[f"slave{i}"]["state"] == "online" for i in range(facts["connected_slaves"]))

    def stop(self) -> None:
        """End all for good."""
        self._kill()
        for server in self.servers:
            server.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
