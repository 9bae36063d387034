"""What one user may take: streams at once, and audio for each minute.

A user is a name, where the service knows one, or else a network address.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network

import gevent
from limits import RateLimitItemPerMinute
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter
from redis import RedisError

from whisper_service.config import Limits
from whisper_service.errors import RateLimited, TranscriptionError
from whisper_service.parts import Listener
from whisper_service.web.admission import Identity
from whisper_service.web.places import OwnPlaces, Places, SharedPlaces

log = logging.getLogger(__name__)

#: Audio is counted in portions of at least so many seconds.
_PORTION_S = 5
#: An IPv6 network of this size is one user: each household has at least one (RFC 6177).
_HOUSEHOLD_BITS = 64


class Quotas:
    """The quotas of all users."""

    def __init__(self, limits: Limits) -> None:
        self._streams = limits.user_streams
        self._audio_s = limits.user_audio_s
        url = limits.redis_url
        self._places: Places = SharedPlaces(url) if url else OwnPlaces()
        storage = storage_from_string(url or "memory://", **({"socket_timeout": 2} if url else {}))
        self._limiter = MovingWindowRateLimiter(storage)

    @contextmanager
    def one_more(self, identity: Identity) -> Iterator[None]:
        """Count a stream of this user as open during the ``with`` block.

        :raises RateLimited: if the user has too many.
        """
        if self._streams is None:
            yield
            return
        with self._places.one_more(user_of(identity), self._streams) as taken:
            if not taken:
                log.info("%s has %d streams, and gets no other", user_of(identity), self._streams)
                raise RateLimited(f"You have {self._streams} streams already; end one of them first.")
            yield

    def meter(self, identity: Identity, fail: Callable[[TranscriptionError], None]) -> AudioMeter:
        """Return the listener that counts the audio of a stream.

        :param fail: ends the stream; never blocks.
        """
        return AudioMeter(lambda seconds: self._hear(identity, seconds), fail)

    def _hear(self, identity: Identity, seconds: int) -> None:
        """Count audio. Blocks the greenlet if the counts are in Redis.

        :raises RateLimited: if the user has sent too much within a minute.
        """
        if self._audio_s is None:
            return
        item = RateLimitItemPerMinute(self._audio_s)
        try:
            is_allowed = self._limiter.hit(item, "whisper:audio", user_of(identity), cost=seconds)
        except RedisError as problem:
            log.error("audio is not counted, because Redis does not answer: %s", type(problem).__name__)
            return
        if not is_allowed:
            log.info("%s sends more than %d s of audio a minute", user_of(identity), self._audio_s)
            raise RateLimited(f"You may send {self._audio_s} s of audio a minute, over all your streams.")


class AudioMeter(Listener):
    """Counts the audio of one stream, and ends the stream if its user has sent too much.

    :param hear: counts seconds of audio; may block, and raises ``RateLimited``.
    """

    def __init__(self, hear: Callable[[int], None], fail: Callable[[TranscriptionError], None]) -> None:
        self._hear = hear
        self._fail = fail
        self._uncounted_s = 0.0

    def heard(self, stream: str, seconds: float) -> None:
        """Count audio. The count is made by another greenlet, because it may wait for Redis."""
        self._uncounted_s += seconds
        portion = int(self._uncounted_s)
        if portion >= _PORTION_S:
            self._uncounted_s -= portion
            gevent.spawn(self._count, portion)

    def _count(self, seconds: int) -> None:
        try:
            self._hear(seconds)
        except RateLimited as problem:
            self._fail(problem)


def user_of(identity: Identity) -> str:
    """Return whom a quota is for: a name, an address, or an IPv6 network."""
    if identity.name:
        return f"name:{identity.name}"
    try:
        address = ip_address(identity.address)
    except ValueError:
        return f"address:{identity.address}"
    mapped = getattr(address, "ipv4_mapped", None)
    if address.version == 4 or mapped:
        return f"address:{mapped or address}"
    return f"address:{ip_network((address, _HOUSEHOLD_BITS), strict=False)}"
