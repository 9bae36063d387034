"""Places: how many streams a user has open at once, in this process or in all that share a Redis."""

from __future__ import annotations

import logging
import secrets
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import gevent
import redis

log = logging.getLogger(__name__)

#: A place in Redis is free again so long after its process has died, in seconds. It is renewed more often.
LEASE_S = 30.0
_RENEWED_EVERY_S = LEASE_S / 3
#: Redis has this long to answer, in seconds.
_TIMEOUT_S = 2.0
#: Errors of Redis are logged at most this often, in seconds.
_COMPLAINED_EVERY_S = 60.0

# The places of a user are the members of a sorted set, with the time at which each is free again. The time is
# that of Redis, so the clocks of the servers do not matter.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""
_RENEW = """
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
"""


class Places(Protocol):
    """Counts the open streams of each user."""

    @contextmanager
    def one_more(self, user: str, most: int) -> Iterator[bool]:
        """Take a place during the ``with`` block, if there is one; yield whether there was.

        :param most: how many places the user has.
        """


class OwnPlaces:
    """The places in this process."""

    def __init__(self) -> None:
        self._taken: defaultdict[str, int] = defaultdict(int)

    @contextmanager
    def one_more(self, user: str, most: int) -> Iterator[bool]:
        """See ``Places``."""
        if self._taken[user] >= most:
            yield False
            return
        self._taken[user] += 1
        try:
            yield True
        finally:
            self._taken[user] -= 1
            if not self._taken[user]:
                del self._taken[user]


class SharedPlaces:
    """The places in all processes that use a Redis. A process that is killed frees its places after 30 s.

    If Redis does not answer, everybody is let in, and the log says so: a limit is not worth an outage.

    :param url: the address of the Redis.
    """

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
        self._take = self._redis.register_script(_TAKE)
        self._renew = self._redis.register_script(_RENEW)
        self._held: set[tuple[str, str]] = set()
        self._renewing = False
        self._complained_at = -_COMPLAINED_EVERY_S

    @contextmanager
    def one_more(self, user: str, most: int) -> Iterator[bool]:
        """See ``Places``. Blocks the greenlet while Redis answers."""
        key, place = f"whisper:places:{user}", secrets.token_hex(8)
        taken = self._ask(lambda: self._take(keys=[key], args=[most, int(LEASE_S * 1000), place]))
        if taken == 0:
            yield False
            return
        self._held.add((key, place))
        self._start_renewing()
        try:
            yield True
        finally:
            self._held.discard((key, place))
            self._ask(lambda: self._redis.zrem(key, place))

    def _start_renewing(self) -> None:
        if not self._renewing:
            self._renewing = True
            gevent.spawn(self._renew_all)

    def _renew_all(self) -> None:
        try:
            while self._held:
                gevent.sleep(_RENEWED_EVERY_S)
                for key, place in list(self._held):
                    if (key, place) in self._held:  # it may have been given back meanwhile
                        self._renew_one(key, place)
        finally:
            self._renewing = False

    def _renew_one(self, key: str, place: str) -> None:
        self._ask(lambda: self._renew(keys=[key], args=[int(LEASE_S * 1000), place]))
        if (key, place) not in self._held:
            self._ask(lambda: self._redis.zrem(key, place))

    def _ask(self, question: Any) -> Any:
        """Return the answer of Redis, or None if there is none."""
        try:
            return question()
        except redis.RedisError as problem:
            if time.monotonic() - self._complained_at > _COMPLAINED_EVERY_S:
                self._complained_at = time.monotonic()
                log.error("limits do not count, because Redis does not answer: %s", type(problem).__name__)
            return None
