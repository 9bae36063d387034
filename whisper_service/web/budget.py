"""How many bytes of messages all connections together may hold."""

from __future__ import annotations

#: What each connection holds free of charge: a slice of half a second in the largest format of a microphone.
_FREE_BYTES = 256 * 1024


class ByteBudget:
    """A number of bytes that connections share.

    :param limit: bytes, beyond what each connection holds free of charge.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0

    def open(self) -> Allowance:
        """Return the share of a new connection: nothing yet."""
        return Allowance(self)

    @property
    def is_exceeded(self) -> bool:
        """Whether more is held than the limit."""
        return self._taken > self._limit

    def take(self, count: int) -> bool:
        """Take ``count`` bytes, or give them back if it is negative; return whether there were as many."""
        if count > 0 and self._taken + count > self._limit:
            return False
        self._taken += count
        return True

    def charge(self, count: int) -> None:
        """Count ``count`` bytes that are held already, or no more if it is negative."""
        self._taken += count


class Allowance:
    """What one connection holds."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self._held: dict[str, int] = {}
        self._charged = 0

    def hold(self, place: str, count: int) -> bool:
        """Let ``place`` hold ``count`` bytes now; return whether it may. If not, nothing changes."""
        charge = self._charge(place, count)
        if not self._budget.take(charge - self._charged):
            return False
        self._charged, self._held[place] = charge, count
        return True

    def note(self, place: str, count: int) -> None:
        """Note that ``place`` holds ``count`` bytes, which come from another place of this connection."""
        charge = self._charge(place, count)
        self._budget.charge(charge - self._charged)
        self._charged, self._held[place] = charge, count

    @property
    def is_tight(self) -> bool:
        """Whether this connection holds more than is free, and all together more than they may."""
        return self._charged > 0 and self._budget.is_exceeded

    def _charge(self, place: str, count: int) -> int:
        total = sum(self._held.values()) - self._held.get(place, 0) + count
        return max(0, total - _FREE_BYTES)

    def close(self) -> None:
        """Give everything back."""
        self._budget.charge(-self._charged)
        self._charged, self._held = 0, {}
