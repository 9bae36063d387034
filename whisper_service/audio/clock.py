"""The client's own samples: how many have come, and from which of them a stream can be sent again."""

from __future__ import annotations

from math import lcm
from typing import NamedTuple

from whisper_service.audio.pcm import SAMPLE_RATE

#: A stream is sent again from a multiple of 100 ms: over this time the downmix compares channels.
_RASTER_SAMPLES = SAMPLE_RATE // 10
#: So much audio before the first sample that is needed comes again as well: one such comparison, and 10 ms
#: for the resampler, which gives the same samples after 2 ms.
_LEAD_IN_SAMPLES = _RASTER_SAMPLES + SAMPLE_RATE // 100


class Origin(NamedTuple):
    """A place in the client's audio from which it can be sent again.

    :param sample: number of the client's sample there, counted for one channel.
    :param rate: the client's sample rate in Hz; 0 if it is not known yet.
    :param position: the same place in samples at 16 kHz.
    """

    sample: int = 0
    rate: int = 0
    position: int = 0

    def moved_to(self, sample: int) -> Origin:
        """Return the first place from ``sample`` on that lies on a whole sample at 16 kHz."""
        own, ours = _smallest_ratio(self.rate or SAMPLE_RATE)
        steps = -(-sample // own)
        return Origin(steps * own, self.rate, steps * ours)


class ClientClock:
    """Counts the samples of one client.

    A place can be named only in audio that is cut between any two samples: WAV or raw samples, at one rate,
    of which no slice was refused. From the first container, other rate or refused slice on, the client has to
    send everything from the last place before that.

    :param origin: the last place that was named.
    :param received: how many samples came before the first one that is counted.
    """

    def __init__(self, origin: Origin | None = None, *, received: int = 0) -> None:
        self._last = origin or Origin()
        self.rate = self._last.rate
        #: How many samples have come since the client began.
        self.received = received
        self._can_be_cut = True

    def count(self, samples: int, rate: int) -> None:
        """Count ``samples`` of one channel at ``rate`` Hz."""
        if self.rate and rate != self.rate:
            self.stay()
        self.rate = rate
        self.received += samples

    def lose(self, samples: int) -> None:
        """Count audio that was refused; ``samples`` is its length at 16 kHz, 0 if nobody knows it."""
        own, rest = divmod(samples * self.rate, SAMPLE_RATE)
        if not own or rest:
            self.stay()
        self.received += own

    def stay(self) -> None:
        """Name no later place than the last one."""
        self._can_be_cut = False

    def origin_before(self, position: int) -> Origin:
        """Return the last place from which all audio from ``position`` on can be sent again.

        :param position: the first sample at 16 kHz that is needed. It must not be before that of an earlier
            call.
        """
        if self._can_be_cut and self.rate:
            own, ours = _smallest_ratio(self.rate)
            raster = lcm(_RASTER_SAMPLES, ours)
            steps = max(0, (position - _LEAD_IN_SAMPLES) // raster) * (raster // ours)
            self._last = Origin(
                max(self._last.sample, steps * own), self.rate, max(self._last.position, steps * ours)
            )
        return self._last


def _smallest_ratio(rate: int) -> tuple[int, int]:
    """Return the smallest numbers of samples, at ``rate`` Hz and at 16 kHz, that last equally long."""
    length = lcm(rate, SAMPLE_RATE)
    return length // SAMPLE_RATE, length // rate
