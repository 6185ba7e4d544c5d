"""The commands, named and shaped as in redis-py, over whatever sends them (sync or asyncio)."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hosts.client.commands import Argument
from hosts.client.errors import CommandError


def _as_is(reply: Any) -> Any:
    return reply


def _ok(reply: Any) -> bool:
    return reply is not None


def _float(reply: Any) -> float | None:
    return None if reply is None else float(reply)


def _pairs(reply: list[bytes]) -> list[tuple[bytes, bytes]]:
    return list(zip(reply[::2], reply[1::2], strict=True))


def _scored(reply: list[bytes]) -> list[tuple[bytes, float]]:
    return [(member, float(score)) for member, score in _pairs(reply)]


class Commands(ABC):
    """Single-group commands. On an asyncio client every call is awaitable."""

    @abstractmethod
    def _call(self, convert: Callable[[Any], Any], *command: Argument) -> Any:
        """Send a command and return (or promise) its reply, converted; raise if it is an error."""

    def execute_command(self, *command: Argument) -> Any:
        """Send any command as it stands; the reply is bytes, int, list or None."""
        return self._call(_as_is, *command)

    # Keys
    def delete(self, *keys: Argument) -> Any:
        return self._call(_as_is, "DEL", *keys)

    def unlink(self, *keys: Argument) -> Any:
        return self._call(_as_is, "UNLINK", *keys)

    def exists(self, *keys: Argument) -> Any:
        return self._call(_as_is, "EXISTS", *keys)

    def type(self, key: Argument) -> Any:
        return self._call(_as_is, "TYPE", key)

    def expire(self, key: Argument, seconds: int) -> Any:
        return self._call(bool, "EXPIRE", key, seconds)

    def pexpire(self, key: Argument, milliseconds: int) -> Any:
        return self._call(bool, "PEXPIRE", key, milliseconds)

    def expireat(self, key: Argument, unix_seconds: int) -> Any:
        return self._call(bool, "EXPIREAT", key, unix_seconds)

    def persist(self, key: Argument) -> Any:
        return self._call(bool, "PERSIST", key)

    def ttl(self, key: Argument) -> Any:
        return self._call(_as_is, "TTL", key)

    def pttl(self, key: Argument) -> Any:
        return self._call(_as_is, "PTTL", key)

    # Strings
    def get(self, key: Argument) -> Any:
        return self._call(_as_is, "GET", key)

    def set(
        self,
        key: Argument,
        value: Argument,
        *,
        ex: int | None = None,
        px: int | None = None,
        nx: bool = False,
        xx: bool = False,
        keepttl: bool = False,
        get: bool = False,
    ) -> Any:
        """True if it was set, None if `nx` or `xx` forbade it; with `get` the old value."""
        options: list[Argument] = []
        for word, number in (("EX", ex), ("PX", px)):
            if number is not None:
                options += [word, number]
        for word, wanted in (("NX", nx), ("XX", xx), ("KEEPTTL", keepttl), ("GET", get)):
            if wanted:
                options.append(word)
        done = _as_is if get else (lambda reply: True if reply is not None else None)
        return self._call(done, "SET", key, value, *options)

    def setnx(self, key: Argument, value: Argument) -> Any:
        return self._call(bool, "SETNX", key, value)

    def getset(self, key: Argument, value: Argument) -> Any:
        return self._call(_as_is, "GETSET", key, value)

    def getdel(self, key: Argument) -> Any:
        return self._call(_as_is, "GETDEL", key)

    def append(self, key: Argument, value: Argument) -> Any:
        return self._call(_as_is, "APPEND", key, value)

    def strlen(self, key: Argument) -> Any:
        return self._call(_as_is, "STRLEN", key)

    def getrange(self, key: Argument, start: int, end: int) -> Any:
        return self._call(_as_is, "GETRANGE", key, start, end)

    def setrange(self, key: Argument, offset: int, value: Argument) -> Any:
        return self._call(_as_is, "SETRANGE", key, offset, value)

    def incr(self, key: Argument, amount: int = 1) -> Any:
        return self._call(_as_is, "INCRBY", key, amount)

    incrby = incr

    def decr(self, key: Argument, amount: int = 1) -> Any:
        return self._call(_as_is, "DECRBY", key, amount)

    def incrbyfloat(self, key: Argument, amount: float) -> Any:
        return self._call(_float, "INCRBYFLOAT", key, amount)

    def mget(self, *keys: Argument) -> Any:
        return self._call(_as_is, "MGET", *keys)

    def mset(self, values: Mapping[Any, Argument]) -> Any:
        return self._call(_ok, "MSET", *_flat(values))

    # Hashes
    def hset(self, key: Argument, mapping: Mapping[Any, Argument]) -> Any:
        return self._call(_as_is, "HSET", key, *_flat(mapping))

    def hget(self, key: Argument, field: Argument) -> Any:
        return self._call(_as_is, "HGET", key, field)

    def hmget(self, key: Argument, *fields: Argument) -> Any:
        return self._call(_as_is, "HMGET", key, *fields)

    def hgetall(self, key: Argument) -> Any:
        return self._call(lambda reply: dict(_pairs(reply)), "HGETALL", key)

    def hdel(self, key: Argument, *fields: Argument) -> Any:
        return self._call(_as_is, "HDEL", key, *fields)

    def hexists(self, key: Argument, field: Argument) -> Any:
        return self._call(bool, "HEXISTS", key, field)

    def hlen(self, key: Argument) -> Any:
        return self._call(_as_is, "HLEN", key)

    def hincrby(self, key: Argument, field: Argument, amount: int = 1) -> Any:
        return self._call(_as_is, "HINCRBY", key, field, amount)

    # Lists
    def lpush(self, key: Argument, *values: Argument) -> Any:
        return self._call(_as_is, "LPUSH", key, *values)

    def rpush(self, key: Argument, *values: Argument) -> Any:
        return self._call(_as_is, "RPUSH", key, *values)

    def lpop(self, key: Argument) -> Any:
        return self._call(_as_is, "LPOP", key)

    def rpop(self, key: Argument) -> Any:
        return self._call(_as_is, "RPOP", key)

    def llen(self, key: Argument) -> Any:
        return self._call(_as_is, "LLEN", key)

    def lrange(self, key: Argument, start: int, end: int) -> Any:
        return self._call(_as_is, "LRANGE", key, start, end)

    # Sets
    def sadd(self, key: Argument, *members: Argument) -> Any:
        return self._call(_as_is, "SADD", key, *members)

    def srem(self, key: Argument, *members: Argument) -> Any:
        return self._call(_as_is, "SREM", key, *members)

    def smembers(self, key: Argument) -> Any:
        return self._call(set, "SMEMBERS", key)

    def sismember(self, key: Argument, member: Argument) -> Any:
        return self._call(bool, "SISMEMBER", key, member)

    def scard(self, key: Argument) -> Any:
        return self._call(_as_is, "SCARD", key)

    # Sorted sets
    def zadd(self, key: Argument, mapping: Mapping[Any, float]) -> Any:
        scored = [part for member, score in mapping.items() for part in (score, member)]
        return self._call(_as_is, "ZADD", key, *scored)

    def zincrby(self, key: Argument, amount: float, member: Argument) -> Any:
        return self._call(_float, "ZINCRBY", key, amount, member)

    def zrange(self, key: Argument, start: int, end: int, *, withscores: bool = False) -> Any:
        if withscores:
            return self._call(_scored, "ZRANGE", key, start, end, "WITHSCORES")
        return self._call(_as_is, "ZRANGE", key, start, end)

    def zrem(self, key: Argument, *members: Argument) -> Any:
        return self._call(_as_is, "ZREM", key, *members)

    def zscore(self, key: Argument, member: Argument) -> Any:
        return self._call(_float, "ZSCORE", key, member)

    def zcard(self, key: Argument) -> Any:
        return self._call(_as_is, "ZCARD", key)


def _flat(mapping: Mapping[Any, Argument]) -> Iterable[Argument]:
    if not mapping:
        raise CommandError("an empty mapping: give at least one name and value")
    return [part for pair in mapping.items() for part in pair]
