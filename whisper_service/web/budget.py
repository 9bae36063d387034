"""The limit on the bytes of messages that all connections together may hold."""

from __future__ import annotations

#: Bytes that a connection may hold without using the budget: half a second at 48 kHz in
#: stereo with 32 bits takes 192 KB.
_FREE_BYTES = 256 * 1024


class ByteBudget:
    """A number of bytes that all connections share.

    :param limit: in bytes, without the free bytes of each connection.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0

    def open(self) -> Allowance:
        """Return the account of a new connection, which holds nothing yet."""
        return Allowance(self)

    @property
    def is_exceeded(self) -> bool:
        """Whether the connections hold more bytes than the limit."""
        return self._taken > self._limit

    def take(self, count: int) -> bool:
        """Take ``count`` bytes; return False, and take none, if that exceeds the limit.

        :param count: a negative number gives bytes back.
        """
        if count > 0 and self._taken + count > self._limit:
            return False
        self._taken += count
        return True

    def charge(self, count: int) -> None:
        """Take ``count`` bytes that a connection holds already, even over the limit.

        :param count: a negative number gives bytes back.
        """
        self._taken += count


class Allowance:
    """The bytes that one connection holds, in all its places (its buffers and queues)."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self._held: dict[str, int] = {}
        self._charged = 0

    def hold(self, place: str, count: int) -> bool:
        """Set the bytes that ``place`` holds to ``count``; return whether the budget allows it.

        If it does not, nothing changes.
        """
        charge = self._charge(place, count)
        if not self._budget.take(charge - self._charged):
            return False
        self._charged, self._held[place] = charge, count
        return True

    def note(self, place: str, count: int) -> None:
        """Set the bytes that ``place`` holds to ``count``, even over the limit.

        Used for bytes that come from another place of this connection.
        """
        charge = self._charge(place, count)
        self._budget.charge(charge - self._charged)
        self._charged, self._held[place] = charge, count

    @property
    def is_tight(self) -> bool:
        """Whether this connection holds more than its free bytes, and all together exceed the limit."""
        return self._charged > 0 and self._budget.is_exceeded

    def _charge(self, place: str, count: int) -> int:
        total = sum(self._held.values()) - self._held.get(place, 0) + count
        return max(0, total - _FREE_BYTES)

    def close(self) -> None:
        """Give all bytes back."""
        self._budget.charge(-self._charged)
        self._charged, self._held = 0, {}
