"""Connecting to Redis: every way there, and what its failures are called."""

import re
import shutil
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pumpkit.buffers.redis.connect import connect, explained
from pumpkit.buffers.redis.url import parse
from pumpkit.errors import BufferConfigError, BufferFull, BufferUnavailable
from tests.servers.redis import RedisServer, Replicated, free_port, wait_until
from tests.servers.redis_cluster import Cluster
from tests.servers.redis_sentinel import Sentinels
from tests.servers.redis_tls import Certificates, TlsRedisServer

WRITE = "return redis.call('rpush', KEYS[1], 'x')"


def ask(url: str, *words: Any, timeout: float = 2.0) -> Any:
    """Return the answer to one command over a connection of its own."""
    place = parse(url)
    client = connect(place, timeout)
    try:
        with explained(place):
            return client.execute_command(*words)
    finally:
        client.close()


def write(url: str, timeout: float = 2.0) -> Any:
    """Write by a script, as the buffer does."""
    return ask(url, "EVAL", WRITE, 1, "{pumpkit}:log", timeout=timeout)


def with_login(url: str, login: str) -> str:
    """Return a URL with user and password."""
    return url.replace("://", f"://{login}@", 1)


# The ways there ---------------------------------------------------------------------------------------------


def test_one_server(redis_kind: str, redis_server: RedisServer) -> None:
    """Every kind, over TCP and over its socket file, in any of its databases; answers are bytes."""
    assert ask(redis_server.url + "/3", "SET", "a", "b") is True
    assert ask(redis_server.unix_url + "?db=3", "GET", "a") == b"b"
    assert ask(redis_server.url, "GET", "a") is None
    assert ask(redis_server.url + "?client-name=me", "CLIENT", "GETNAME") in (b"me", "me")


def test_sentinels(redis_kind: str, redis_sentinel: Sentinels) -> None:
    """The client asks them where the master is, and again after a fail-over."""
    place = parse(redis_sentinel.url)
    client = connect(place, 2.0)
    assert client.rpush("a", "x") == 1
    redis_sentinel.fail_over()

    def moved() -> bool:
        try:
            with explained(place):
                return client.rpush("a", "x") > 1
        except BufferUnavailable:
            return False

    wait_until(moved, "the client finds the new master")
    client.close()


def test_some_sentinels_may_be_away(redis_sentinel: Sentinels) -> None:
    """One that answers is enough."""
    host = f"127.0.0.1:{free_port()}"
    assert ask(redis_sentinel.url.replace("://", f"://{host},nowhere.invalid,"), "PING") is True


def test_a_frozen_master_is_left_for_a_new_one(redis_sentinel: Sentinels) -> None:
    """What is asked of it ends in time, and once the sentinels have noticed the client talks to another."""
    place = parse(redis_sentinel.url)
    client = connect(place, 0.3)
    with explained(place):
        client.ping()
    old = redis_sentinel.master
    old.pause()
    with pytest.raises(BufferUnavailable, match="did not answer in time"), explained(place):
        client.ping()
    redis_sentinel.wait_for_another(old)
    with explained(place):
        assert client.rpush("a", "x") == 1
    client.close()


def test_a_cluster(redis_kind: str, redis_cluster: Cluster) -> None:
    """One node that answers is enough to know the others; a slot that moves is followed."""
    host = f"127.0.0.1:{free_port()}"
    url = f"redis+cluster://{host},127.0.0.1:{redis_cluster.nodes[2].port}"
    keys = [redis_cluster.key_on(node) for node in redis_cluster.nodes]
    client = connect(parse(url), 2.0)
    for key in keys:
        client.set(key, key)
    with redis_cluster.nodes[0].client() as direct:
        redis_cluster.move(direct.execute_command("CLUSTER KEYSLOT", keys[0]), redis_cluster.nodes[1])
    assert [client.get(key) for key in keys] == [key.encode() for key in keys]
    client.close()


def test_tls(redis_tls: TlsRedisServer) -> None:
    """The server's certificate is checked against an authority and the host's name."""
    assert ask(redis_tls.url, "PING") is True
    assert ask(redis_tls.url.replace("127.0.0.1", "localhost"), "PING") is True


def test_a_client_certificate(new_redis_tls: Callable[..., TlsRedisServer], certificates: Certificates) -> None:
    """A server that asks for one gets it."""
    server = new_redis_tls(clients="yes")
    shown = f"&cert-file={certificates.file('client')}&key-file={certificates.key('client')}"
    assert ask(server.url + shown, "PING") is True
    with pytest.raises((BufferConfigError, BufferUnavailable)) as refusal:
        ask(server.url, "PING")
    assert re.search("wants? a client certificate", str(refusal.value))
    stranger = f"&cert-file={certificates.file('stranger')}&key-file={certificates.key('stranger')}"
    with pytest.raises((BufferConfigError, BufferUnavailable)):
        ask(server.url + stranger, "PING")


def test_users(redis_kind: str, redis_server: RedisServer, tmp_path: Path) -> None:
    """A user of the access control list, whose new password is taken from its file at the next connection."""
    redis_server.add_user("app", "p@ss/1", "~*", "+@all")
    assert ask(with_login(redis_server.url, "app:p%40ss%2F1"), "ACL", "WHOAMI") in (b"app", "app")
    file = tmp_path / "password"
    file.write_text("p@ss/1\n")
    place = parse(with_login(redis_server.url, "app") + f"?password-file={file}")
    client = connect(place, 2.0)
    assert client.ping()
    redis_server.add_user("app", "two", "~*", "+@all")
    file.write_text("two")
    client.connection_pool.disconnect()
    assert client.ping()
    client.close()
    file.unlink()
    with pytest.raises(BufferConfigError, match="named for the password, cannot be read"):
        connect(place, 2.0)


def test_sentinels_with_a_password(new_sentinels: Callable[..., Sentinels]) -> None:
    """It is another one than the servers'."""
    servers = new_sentinels(sentinels=1)
    servers.master.add_user("app", "ours", "~*", "+@all")
    ask(f"redis://127.0.0.1:{servers.ports[0]}", "ACL", "SETUSER", "default", "resetpass", ">theirs")
    url = with_login(servers.url, "app:ours")
    assert ask(url + "?sentinel-password=theirs", "ACL", "WHOAMI") in (b"app", "app")
    with pytest.raises(BufferConfigError, match=r"sentinel \S+: .*required.*; it wants a password"):
        ask(url, "PING")
    with pytest.raises(BufferConfigError, match="user or password is wrong"):
        ask(url + "?sentinel-password=ours", "PING")
    with pytest.raises(BufferConfigError, match="user or password is wrong"):
        ask(with_login(servers.url, "app:theirs") + "?sentinel-password=theirs", "PING")


# Commands are never repeated --------------------------------------------------------------------------------


@pytest.mark.parametrize("servers", ["redis_server", "redis_sentinel", "redis_cluster"])
def test_a_command_without_an_answer_is_sent_once(servers: str, request: pytest.FixtureRequest) -> None:
    """A server that froze has it once when it goes on."""
    started = request.getfixturevalue(servers)
    place = parse(started.url)
    client = connect(place, 0.3)
    client.set("{a}", 0)
    frozen = {"redis_sentinel": lambda: started.master, "redis_cluster": lambda: started.node_of("{a}")}
    server = frozen.get(servers, lambda: started)()
    server.pause()
    with pytest.raises(BufferUnavailable, match="did not answer in time"), explained(place):
        client.incr("{a}")
    server.resume()
    with server.client() as direct:
        wait_until(lambda: direct.get("{a}") == b"1", "it has the command")
        assert direct.info("commandstats")["cmdstat_incrby"]["calls"] == 1
    client.close()


def test_a_connection_lost_meanwhile_is_made_again(redis_server: RedisServer) -> None:
    """One that the server closed while nobody used it costs no command."""
    place = parse(redis_server.url)
    client = connect(place, 2.0)
    client.ping()
    redis_server.kill()
    with pytest.raises(BufferUnavailable), explained(place):
        client.ping()
    redis_server.start()
    with explained(place):
        assert client.ping()
    client.close()


# What failures are called -----------------------------------------------------------------------------------


def test_nobody_there() -> None:
    """No server, no host, no socket file."""
    port = free_port()
    with pytest.raises(BufferUnavailable, match="nobody listens there; start the server, or correct the address"):
        ask(f"redis://127.0.0.1:{port}", "PING")
    with pytest.raises(BufferUnavailable, match="the host cannot be found"):
        ask("redis://nowhere.invalid", "PING")
    with pytest.raises(BufferUnavailable, match="there is no such socket"):
        ask("redis+unix:///nowhere/redis.sock", "PING")
    with pytest.raises(BufferUnavailable, match=f"the sentinel 127.0.0.1:{port}: nobody listens there"):
        ask(f"redis+sentinel://127.0.0.1:{port}/m", "PING")
    with pytest.raises(BufferUnavailable, match="nobody listens there"):
        ask(f"redis+cluster://127.0.0.1:{port}", "PING")


@pytest.mark.parametrize("scheme", ["redis://{}", "rediss://{}", "redis+sentinel://{}/m", "redis+cluster://{}"])
def test_no_answer(scheme: str) -> None:
    """Whoever listens and says nothing is waited for no longer than asked."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(BufferUnavailable, match="did not answer in time"):
            ask(scheme.format(f"127.0.0.1:{silent.getsockname()[1]}"), "PING", timeout=0.2)
        assert time.monotonic() - began < 10


def test_the_wrong_kind_of_address(
    redis_server: RedisServer, redis_cluster: Cluster, redis_sentinel: Sentinels, redis_tls: TlsRedisServer
) -> None:
    """A cluster, sentinels and TLS that the URL does not say, or says where there are none."""
    plain, node = f"127.0.0.1:{redis_server.port}", f"127.0.0.1:{redis_cluster.nodes[0].port}"
    with pytest.raises(BufferConfigError, match="it is no cluster; write redis://"):
        ask(f"redis+cluster://{plain}", "PING")
    with pytest.raises(BufferConfigError, match="no sentinel is there"):
        ask(f"redis+sentinel://{plain}/main", "PING")
    key = redis_cluster.key_on(redis_cluster.nodes[1])
    with pytest.raises(BufferConfigError, match=r"it belongs to a cluster; write redis\+cluster://"):
        ask(f"redis://{node}", "GET", key)
    with pytest.raises(BufferConfigError, match=r"SELECT is not allowed in cluster mode|DB index is out of range"):
        ask(f"redis://{node}/1", "PING")
    with pytest.raises(BufferConfigError, match=r"knows no master 'mian', only main"):
        ask(redis_sentinel.url.replace("/main", "/mian"), "PING")
    with pytest.raises(BufferUnavailable, match=r"closed the connection; if it always does, it may want TLS"):
        ask(f"redis://127.0.0.1:{redis_tls.port}", "PING")
    with pytest.raises((BufferConfigError, BufferUnavailable), match=r"speaks? no TLS|does not speak TLS|closed"):
        ask(f"rediss://{plain}", "PING", timeout=0.3)
    with pytest.raises(BufferConfigError, match="the URL names a database that it does not have"):
        ask(redis_server.url + "/99", "PING")


def test_certificates_that_cannot_be_trusted(
    redis_tls: TlsRedisServer, new_redis_tls: Callable[..., TlsRedisServer], certificates: Certificates
) -> None:
    """An unknown authority, another host, one that has expired; files that are not there or hold something else.

    None of the former matters where the URL says that certificates are not to be verified.
    """
    with pytest.raises(BufferConfigError, match="name the certificate of its authority by ca-file"):
        ask(redis_tls.url.partition("?")[0], "PING")
    with pytest.raises(BufferConfigError, match="name the certificate of its authority"):
        ask(redis_tls.url.replace("ca.pem", "stranger.pem"), "PING")
    elsewhere = new_redis_tls(certificate="elsewhere").url
    with pytest.raises(BufferConfigError, match=r"mismatch.*name the host that it is for, or add verify-host=false"):
        ask(elsewhere, "PING")
    assert ask(elsewhere + "&verify-host=false", "PING") is True
    for more in ("", "&verify-host=false"):
        with pytest.raises(BufferConfigError, match="expired; renew it"):
            ask(new_redis_tls(certificate="expired").url + more, "PING")
    with pytest.raises(BufferConfigError, match=r"nope\.pem, named by ca-file, is not there"):
        ask(redis_tls.url.replace("ca.pem", "nope.pem"), "PING")
    with pytest.raises(BufferConfigError, match="see ca-file, cert-file and key-file"):
        ask(redis_tls.url.replace("ca.pem", "server.key"), "PING")
    with pytest.raises(BufferConfigError, match="see ca-file, cert-file and key-file"):
        ask(f"{redis_tls.url}&cert-file={certificates.file('client')}&key-file={certificates.key('server')}", "PING")


def test_logins_that_are_refused(redis_kind: str, redis_server: RedisServer) -> None:
    """A wrong password, none where one is needed, one where none is set."""
    with pytest.raises(BufferConfigError, match="user or password is wrong") as refusal:
        ask(with_login(redis_server.url, "app:hunter2"), "PING")
    assert "hunter2" not in str(refusal.value)
    with pytest.raises(BufferConfigError, match="leave user and password out of the URL"):
        ask(with_login(redis_server.url, ":hunter2"), "PING")
    with redis_server.client() as client:
        client.config_set("requirepass", "secret")
    with pytest.raises(BufferConfigError, match="it wants a password"):
        ask(redis_server.url, "PING")
    with pytest.raises(BufferConfigError, match="user or password is wrong"):
        ask(with_login(redis_server.url, ":hunter2"), "PING")
    ask(with_login(redis_server.url, ":secret"), "CONFIG", "SET", "requirepass", "")


def test_what_a_user_may_not_do(redis_kind: str, redis_server: RedisServer) -> None:
    """A command or a key that its rules leave out, in a script too."""
    redis_server.add_user("app", "x", "~{pumpkit}:*", "+eval", "+rpush", "+get", "+ping")
    url = with_login(redis_server.url, "app:x")
    assert write(url) == 1
    for words in (("SET", "{pumpkit}:a", "b"), ("GET", "other"), ("EVAL", WRITE, 1, "other")):
        with pytest.raises(BufferConfigError, match=r"allow it for this user \(ACL SETUSER\)"):
            ask(url, *words)
    with pytest.raises(BufferConfigError, match="allow it for this user"):
        ask(url, "EVAL", "return redis.call('set', KEYS[1], 'x')", 1, "{pumpkit}:log")
    with pytest.raises(BufferConfigError, match="this command allowed"):
        ask(url, "NOSUCHTHING")


def test_a_key_of_somebody_else(redis_kind: str, redis_server: RedisServer) -> None:
    """The name of the buffer is taken by another program."""
    ask(redis_server.url, "SET", "{pumpkit}:log", "x")
    with pytest.raises(BufferConfigError, match="another program uses keys of this name"):
        write(redis_server.url)


def test_out_of_memory(redis_kind: str, redis_server: RedisServer) -> None:
    """At its maxmemory nothing can be appended: the buffer is full. It can again when there is room."""
    with redis_server.client() as client:
        client.config_set("maxmemory", "1")
        for attempt in (lambda: write(redis_server.url), lambda: ask(redis_server.url, "RPUSH", "a", "b")):
            with pytest.raises(BufferFull, match="it is at its maxmemory"):
                attempt()
        client.config_set("maxmemory", "0")
    assert write(redis_server.url) == 1


def test_replicas(redis_kind: str, redis_replicated: Replicated) -> None:
    """One takes no writes; one without its master may answer nothing at all; a master may ask for replicas."""
    replica, master = redis_replicated.replica, redis_replicated.master
    for attempt in (lambda: write(replica.url), lambda: ask(replica.url, "RPUSH", "a", "b")):
        with pytest.raises(BufferUnavailable, match="it is a replica"):
            attempt()
    ask(replica.url, "CONFIG", "SET", "replica-serve-stale-data", "no")
    ask(master.url, "CONFIG", "SET", "min-replicas-to-write", "2")
    with pytest.raises(BufferUnavailable, match="too few replicas are connected"):
        write(master.url)
    ask(master.url, "CONFIG", "SET", "min-replicas-to-write", "0")
    master.kill()

    def alone() -> bool:
        try:
            ask(replica.url, "GET", "a")
        except BufferUnavailable as error:
            return "a replica that has lost its master" in str(error)
        return False

    wait_until(alone, "the replica notices")
    with pytest.raises(BufferUnavailable, match="a replica"):
        write(replica.url)


def test_a_script_that_runs_too_long(redis_kind: str, redis_server: RedisServer) -> None:
    """Others are told that the server is busy."""
    ask(redis_server.url, "CONFIG", "SET", "lua-time-limit", "10")
    client = redis_server.client()
    connection = client.connection_pool.get_connection()
    connection.send_command("EVAL", "while true do end", 0)

    def busy() -> bool:
        try:
            write(redis_server.url, timeout=0.5)
        except BufferUnavailable as error:
            return "a script has run for too long" in str(error)
        return False

    wait_until(busy, "the script is noticed")
    ask(redis_server.url, "SCRIPT", "KILL")
    client.connection_pool.release(connection)
    client.close()


def test_a_server_that_loads(new_redis: Callable[..., RedisServer]) -> None:
    """It says so until it has read its data."""
    slow = ["--appendonly", "yes", "--key-load-delay", "200", "--loading-process-events-interval-bytes", "1024"]
    server = new_redis(*slow)
    ask(server.url, "EVAL", "for i = 1, 5000 do redis.call('set', 'key' .. i, i) end", 0)
    server.kill()
    starting = threading.Thread(target=server.start)
    starting.start()

    def loading() -> bool:
        try:
            write(server.url)
        except BufferUnavailable as error:
            return "it has just started, and reads its data" in str(error)
        return False

    wait_until(loading, "it says that it loads")
    starting.join()


def test_a_disk_that_fails(redis_kind: str, new_redis: Callable[..., RedisServer]) -> None:
    """A server that cannot save its data takes no more."""
    server = new_redis()
    with server.client() as client:
        client.config_set("save", "1000 1000")
        shutil.rmtree(server.folder)
        client.bgsave()
        wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", "the save has failed")
    with pytest.raises(BufferUnavailable, match="it cannot write to its disk; make room there, or see its log"):
        write(server.url)


def test_too_many_clients(redis_server: RedisServer) -> None:
    """The server refuses more connections than its limit."""
    with redis_server.client() as client:
        client.config_set("maxclients", 1)
        with pytest.raises(BufferUnavailable, match="maxclients"):
            ask(redis_server.url, "PING")
        client.config_set("maxclients", 1_000)


def test_a_part_of_a_cluster_that_is_down(redis_kind: str, redis_cluster: Cluster) -> None:
    """Its dead node cannot be reached; the others say that the cluster is down."""
    place = parse(redis_cluster.url)
    client = connect(place, 1.0)
    node = redis_cluster.nodes[1]
    lost, kept = (redis_cluster.key_on(one) for one in (node, redis_cluster.nodes[2]))
    with explained(place):
        client.set(kept, 1)
    node.kill()
    with pytest.raises(BufferUnavailable, match=rf"127\.0\.0\.1:{node.port}: nobody listens there"), explained(place):
        client.set(lost, 1)

    def down() -> bool:
        try:
            with explained(place):
                client.set(kept, 1)
        except BufferUnavailable as error:
            return "part of the cluster has no master" in str(error)
        return False

    wait_until(down, "the cluster notices")
    client.close()


def test_a_slot_on_its_way(redis_cluster: Cluster) -> None:
    """What is split between two nodes just now can be had a little later."""
    owner = redis_cluster.node_of("{a}")
    other = next(node for node in redis_cluster.nodes if node is not owner)
    with owner.client() as old, other.client() as new:
        slot = old.execute_command("CLUSTER KEYSLOT", "{a}")
        old.set("{a}1", 1)
        old_id, new_id = (one.execute_command("CLUSTER MYID").decode() for one in (old, new))
        new.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", old_id)
        old.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", new_id)
        with pytest.raises(BufferUnavailable, match="the cluster moves"):
            ask(redis_cluster.url, "MGET", "{a}1", "{a}2")
        for one in (old, new):
            one.execute_command("CLUSTER SETSLOT", slot, "STABLE")


def test_a_client_that_we_closed(redis_server: RedisServer) -> None:
    """Whatever comes of it, it is called closed."""
    place = parse(redis_server.url)
    client = connect(place, 2.0)
    client.ping()
    redis_server.kill()
    with pytest.raises(BufferUnavailable, match="is closed"), explained(place, closed=lambda: True):
        client.ping()
    client.close()
