"""What tests do behind the back of a buffer in Redis, and how they look at what it has there."""

import json
import time
from typing import Any

import redis

FOREVER_US = 3_600_000_000


def everything(client: "redis.Redis") -> dict[bytes, bytes]:
    """Return all that a server has, to be compared; idle times of consumers aside."""
    state = {}
    for key in client.keys("*"):
        kind = client.type(key)
        if kind == b"stream":
            groups = client.xinfo_groups(key)
            owners = [(group["name"], sorted(pending(client, key, group["name"]).items())) for group in groups]
            state[key] = repr((client.xrange(key), groups, owners)).encode()
        elif kind == b"hash":
            state[key] = repr(sorted(client.hgetall(key).items())).encode()
        else:
            state[key] = client.dump(key) or b""
    return state


def pending(client: "redis.Redis", log: str | bytes, group: str | bytes) -> dict[bytes, bytes]:
    """Return who has which entries of a group in hand."""
    found = client.xpending_range(log, group, "-", "+", 100_000)
    return {entry["message_id"]: entry["consumer"] for entry in found}


def give_lease(client: "redis.Redis", locks: str, name: str) -> None:
    """Let somebody on another machine have a lease."""
    holder = json.dumps({"pid": "1", "host": "elsewhere", "life": "another-machine/1"})
    client.hset(locks, name, f"beef|{time.time_ns() // 1_000 + FOREVER_US}|{holder}")


def end_lease(client: "redis.Redis", locks: str, name: str) -> None:
    """Let a lease be over, its holder being on another machine, so that nobody can tell whether it is dead."""
    value: Any = client.hget(locks, name)
    token, _, holder = value.decode().split("|", 2)
    said = json.loads(holder) | {"life": "another-machine/1"}
    client.hset(locks, name, f"{token}|1|{json.dumps(said)}")
