"""The audio that a server may ask for again, with the commands at their places in it."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

#: A sample of raw audio has two bytes: signed, the low byte first.
SAMPLE_BYTES = 2


class Command(NamedTuple):
    """A control message, to be sent after all samples before ``sample``."""

    sample: int
    text: str


class Tape:
    """The samples of one stream from ``start`` on, 16-bit mono.

    Samples are counted from the first one that was recorded.
    """

    def __init__(self) -> None:
        self.start = 0
        self._bytes = bytearray()
        self._commands: deque[Command] = deque()

    @property
    def end(self) -> int:
        """The sample after the last one."""
        return self.start + len(self._bytes) // SAMPLE_BYTES

    def record(self, pcm: bytes) -> None:
        """Add samples at the end.

        :raises ValueError: if ``pcm`` ends in the middle of a sample.
        """
        if len(pcm) % SAMPLE_BYTES:
            raise ValueError(f"{len(pcm)} bytes are no whole number of 16-bit samples")
        self._bytes += pcm

    def note(self, text: str) -> None:
        """Add a command at the end."""
        self._commands.append(Command(self.end, text))

    def read(self, sample: int, count: int) -> bytes:
        """Return at most ``count`` samples from ``sample`` on, up to the next command."""
        commands = (command.sample for command in self._commands if command.sample > sample)
        end = min(sample + count, self.end, next(commands, self.end))
        first = (sample - self.start) * SAMPLE_BYTES
        return bytes(self._bytes[first : (end - self.start) * SAMPLE_BYTES])

    def commands_at(self, sample: int) -> list[Command]:
        """Return the commands at ``sample``."""
        return [command for command in self._commands if command.sample == sample]

    def forget(self, before: int) -> None:
        """Drop the samples before ``before``, and the commands there."""
        dropped = min(before, self.end) - self.start
        if dropped > 0:
            del self._bytes[: dropped * SAMPLE_BYTES]
            self.start += dropped
        while self._commands and self._commands[0].sample < self.start:
            self._commands.popleft()

    def strike(self, text: str) -> None:
        """Drop the first command ``text``: it was carried out, and must not be sent again."""
        for index, command in enumerate(self._commands):
            if command.text == text:
                del self._commands[index]
                return
