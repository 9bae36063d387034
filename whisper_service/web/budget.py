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

    def take(self, count: int) -> bool:
        """Take ``count`` bytes, or give them back if it is negative; return whether there were as many."""
        if count > 0 and self._taken + count > self._limit:
            return False
        self._taken += count
        return True


class Allowance:
    """What one connection holds. Where it would hold more than there is, nothing changes."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self._held: dict[str, int] = {}
        self._charged = 0

    def hold(self, place: str, count: int) -> bool:
        """Note that ``place`` holds ``count`` bytes now; return whether it may."""
        total = sum(self._held.values()) - self._held.get(place, 0) + count
        charge = max(0, total - _FREE_BYTES)
        if not self._budget.take(charge - self._charged):
            return False
        self._charged, self._held[place] = charge, count
        return True

    def close(self) -> None:
        """Give everything back."""
        self._budget.take(-self._charged)
        self._charged, self._held = 0, {}
