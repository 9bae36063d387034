"""How a page grows: its JavaScript heap and its document, after a collection of garbage."""

from __future__ import annotations

from dataclasses import dataclass

from tests.browser.page import LivePage

# The observer of page.py keeps all that was shown and sent, which would be measured as growth.
_FORGET = """
window.partials = { at: () => null, push: () => {} };
window.sentIn = { push: () => {} };
const [create, revoke] = [URL.createObjectURL, URL.revokeObjectURL];
window.addresses = new Set();
URL.createObjectURL = (blob) => {
  const address = create.call(URL, blob);
  window.addresses.add(address);
  return address;
};
URL.revokeObjectURL = (address) => {
  window.addresses.delete(address);
  revoke.call(URL, address);
};
"""


@dataclass(frozen=True, slots=True)
class _Size:
    heap_bytes: int  # of objects that are in use
    backing_bytes: int  # of array buffers, outside of the heap
    nodes: int  # of the document, detached ones as well
    addresses: int  # of blobs that nobody has revoked


class Growth:
    """Measures one page; the first measurement is the reference."""

    def __init__(self, page: LivePage) -> None:
        self._page = page
        self._devtools = page.page.context.new_cdp_session(page.page)
        self._sizes: list[_Size] = []
        page.page.evaluate(_FORGET)

    def measure(self) -> None:
        self._devtools.send("HeapProfiler.collectGarbage")
        usage = self._devtools.send("Runtime.getHeapUsage")
        counters = self._devtools.send("Memory.getDOMCounters")
        addresses: int = self._page.page.evaluate("window.addresses.size")
        self._sizes.append(
            _Size(
                int(usage["usedSize"]),
                int(usage.get("backingStorageSize", 0)),
                int(counters["nodes"]),
                addresses,
            )
        )

    @property
    def heap_bytes(self) -> int:
        return max(size.heap_bytes for size in self._sizes[1:]) - self._sizes[0].heap_bytes

    @property
    def backing_bytes(self) -> int:
        return max(size.backing_bytes for size in self._sizes[1:]) - self._sizes[0].backing_bytes

    @property
    def nodes(self) -> int:
        return max(size.nodes for size in self._sizes[1:]) - self._sizes[0].nodes

    @property
    def addresses(self) -> int:
        """The most blobs that were addressable at once."""
        return max(size.addresses for size in self._sizes)

    def __str__(self) -> str:
        return "\n".join(map(str, self._sizes))
