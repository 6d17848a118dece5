"""A cluster of three masters, by default without replicas."""

from pathlib import Path

from tests.servers.redis import RedisServer, wait_until

#: All slots of a cluster.
SLOTS = 16_384


class Cluster:
    """Nodes that share the slots evenly; `replicas` for each master come after the masters in `nodes`."""

    def __init__(self, program: Path, *options: str, masters: int = 3, replicas: int = 0) -> None:
        flags = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-config-file", "nodes.conf"]
        flags += ["--repl-diskless-sync-delay", "0", "--cluster-replica-validity-factor", "0", *options]
        self._masters = masters
        self.nodes = [RedisServer(program, *flags) for _ in range(masters * (1 + replicas))]

    @property
    def url(self) -> str:
        """Where its masters were at first."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[: self._masters])
        return f"redis+cluster://{hosts}"

    def start(self) -> "Cluster":
        """Start all nodes, join them and wait until every one of them serves."""
        for node in self.nodes:
            node.start()
        self._join()
        return self

    def _join(self) -> None:
        first, *others = self.nodes
        ids = []
        for number, node in enumerate(self.nodes):
            with node.client() as client:
                ids.append(client.execute_command("CLUSTER MYID").decode())
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
                if number < self._masters:
                    slots = range(number * SLOTS // self._masters, (number + 1) * SLOTS // self._masters)
                    client.execute_command("CLUSTER ADDSLOTS", *slots)
                if node in others:
                    client.execute_command("CLUSTER MEET", "127.0.0.1", first.port)
        wait_until(lambda: all(self._known(node) == len(self.nodes) for node in self.nodes), "the nodes have met")
        for number, node in enumerate(self.nodes[self._masters :]):
            with node.client() as client:
                client.execute_command("CLUSTER REPLICATE", ids[number % self._masters])
                wait_until(lambda: client.info("replication")["master_link_status"] == "up", "replicas follow")
        wait_until(lambda: all(self._state(node) == "ok" for node in self.nodes), "every node serves")

    def node_of(self, key: str) -> RedisServer:
        """Return the node that has the slot of a key."""
        with self.nodes[0].client() as client:
            slot = int(client.execute_command("CLUSTER KEYSLOT", key))
        return self._owner(slot)

    def key_on(self, node: RedisServer) -> str:
        """Return a key, a hash tag, whose slot a node has."""
        return next(key for key in map("{{{}}}".format, range(SLOTS)) if self.node_of(key) is node)

    def move(self, slot: int, to: RedisServer) -> None:
        """Give a slot, with the keys in it, to another master."""
        source = self._owner(slot)
        with source.client() as old, to.client() as new:
            old_id, new_id = (client.execute_command("CLUSTER MYID").decode() for client in (old, new))
            new.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", old_id)
            old.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", new_id)
            while keys := old.execute_command("CLUSTER GETKEYSINSLOT", slot, 100):
                old.execute_command("MIGRATE", "127.0.0.1", to.port, "", 0, 5_000, "KEYS", *keys)
            for client in (new, old):
                client.execute_command("CLUSTER SETSLOT", slot, "NODE", new_id)

    def _owner(self, slot: int) -> RedisServer:
        with self.nodes[0].client() as client:
            parts = client.execute_command("CLUSTER SLOTS")
        (port,) = [int(node[1]) for first, last, node, *_ in parts if first <= slot <= last]
        return next(node for node in self.nodes if node.port == port)

    def clean(self) -> None:
        """Make all as good as new."""
        for node in self.nodes:
            if not node.alive:
                node.start()
            node.resume()
        wait_until(lambda: all(self._state(node) == "ok" for node in self.nodes), "every node serves")
        for node in self.nodes:
            with node.client() as client:
                if client.info("replication")["role"] == "master":
                    client.flushall()
                client.script_flush()

    def _known(self, node: RedisServer) -> int:
        return int(self._info(node)["cluster_known_nodes"])

    def _state(self, node: RedisServer) -> str:
        return self._info(node)["cluster_state"]

    def _info(self, node: RedisServer) -> dict[str, str]:
        with node.client() as client:
            facts: dict[str, str] = client.execute_command("CLUSTER INFO")
        return facts

    def stop(self) -> None:
        """End all for good."""
        for node in self.nodes:
            node.stop()
