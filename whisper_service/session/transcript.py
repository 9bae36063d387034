"""The output of a session: finals, partials and the events of keywords."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Collection, Sequence

from whisper_service.audio.pcm import Samples
from whisper_service.config import StreamSettings
from whisper_service.engine.request import Word
from whisper_service.events import Event, Final, Partial
from whisper_service.session.carry import Carry
from whisper_service.session.commit import POLICIES, Agreed
from whisper_service.session.cut import Cut, cut_point
from whisper_service.session.display import Display
from whisper_service.session.keywords import Spotted, Spotter
from whisper_service.session.times import in_order
from whisper_service.session.window import Window, text_of

log = logging.getLogger(__name__)


class Transcript:
    """Turns the hypotheses of a stream into events, one utterance after the other.

    :param carry: the state at which the stream begins.
    """

    def __init__(self, settings: StreamSettings, carry: Carry) -> None:
        self._interim = settings.interim
        self._policy = POLICIES[settings.policy]()
        self._display = Display()
        self._shown = ""
        self._spotter = Spotter(settings.keywords, carry.keywords)
        self._told = deque(carry.told)  # finals that the client has, and that must be made again
        self._first_new = carry.next_id + len(carry.told)
        #: Number of the next final.
        self.next_id = carry.next_id
        #: The sample at which the last final word ends.
        self.last_word_end = carry.last_word_end

    @property
    def makes_again(self) -> bool:
        """Whether finals that the client has are still to be made again."""
        return bool(self._told)

    def reset_policy(self) -> None:
        """Let the policy forget the hypotheses so far: the next one does not continue them."""
        self._policy.reset()

    def take_grid(
        self, window: Window, words: tuple[Word, ...], position: int, language: str, *, certain: bool
    ) -> list[Event]:
        """Take a hypothesis of the grid. The policy decides which of its words become final.

        :param position: the model has heard the window up to here.
        :param certain: whether the language is certain. Before that no word may become final.
        """
        agreed = self._policy.agreed(words, position) if certain else Agreed(0)
        final, window.hypothesis = _parted(words, agreed)
        return self.finalise(window, final, position, language)

    def end(self, window: Window, words: tuple[Word, ...], position: int, language: str) -> list[Event]:
        """Take the last hypothesis of an utterance. All of its words become final."""
        events = self.finalise(window, words, position, language)
        window.hypothesis = ()
        self._policy.reset()
        self._display.clear()
        return events

    def finalise(self, window: Window, words: Sequence[Word], position: int, language: str) -> list[Event]:
        """Make ``words``, the next words of the window, final."""
        if self._told:
            return self._make_again(window, words, position)
        if not words:
            return []
        words = in_order(words, earliest=self.last_word_end, latest=position)
        text = text_of(words)
        final = Final(self.next_id, text, words[0].start, words[-1].end, words, language, position)
        self._take_final(window, final)
        return [final]

    def is_new(self, event: Event) -> bool:
        """Return whether the client has to be told of ``event``: it has some finals already."""
        return not isinstance(event, Final) or event.number >= self._first_new

    def catch_up(self, window: Window, position: int) -> list[Event]:
        """Make the finals again that were made before the model had heard the stream up to ``position``.

        There are none if this session asks at the same positions as the one before. Otherwise the words that
        it has heard up to now do not follow the finals, so the model must be asked again.
        """
        events: list[Event] = []
        while self._told and self._told[0].heard < position:
            events.append(self._take_told(window))
        if events:
            self._disown(window)
        return events

    def _make_again(self, window: Window, words: Sequence[Word], position: int) -> list[Event]:
        """Make the next final that the client has already, if it was made at ``position``.

        :param words: the words that would be final now. They should be the same.
        """
        if self._told[0].heard == position and self._told[0].text == text_of(words):
            return [self._take_told(window)]
        events: list[Event] = []
        while self._told and self._told[0].heard == position:
            events.append(self._take_told(window))
        if events or words:
            log.info("the model hears other words than those that the client has; its finals stay")
            self._disown(window)
        return events

    def _take_told(self, window: Window) -> Final:
        final = self._told.popleft()
        self._take_final(window, final)
        return final

    def _take_final(self, window: Window, final: Final) -> None:
        window.final_words.extend(final.words)
        self.next_id = final.number + 1
        self.last_word_end = final.end
        self._display.commit(final.words)
        self._shown = ""

    def _disown(self, window: Window) -> None:
        """Forget the hypotheses so far: they do not follow the final words of ``window``."""
        window.hypothesis = ()
        self._policy.reset()

    def cut(self, window: Window, audio: Samples, position: int, language: str) -> tuple[list[Event], Cut]:
        """Choose where a window is cut in mid-speech (``cut_point``); the words before the cut become final.

        The final words after the cut will be the forced prefix of the new window, so no word is lost or
        doubled at the seam. The hypotheses of the old window do not count in the new one.

        :param audio: the samples of the window, up to ``position``.
        :returns: the events, and the cut.
        """
        self._policy.reset()
        words = [*window.final_words, *window.hypothesis]
        cut = cut_point(audio, window.start, words, committed=len(window.final_words))
        missing = cut.words - len(window.final_words)
        if missing <= 0:
            return [], cut
        events = self.finalise(window, window.hypothesis[:missing], position, language)
        window.hypothesis = window.hypothesis[missing:]
        return events, cut

    def show(self, words: Sequence[Word], end: int) -> list[Event]:
        """Return a partial with those of ``words`` that are worth showing, if its text is not shown already.

        An empty partial takes back the text that is shown.

        :param end: the model has heard the window up to here.
        """
        words = self._display.update(words)
        text = text_of(words)
        if not self._interim or self._told or text == self._shown:
            return []
        self._shown = text
        words = in_order(words, earliest=self.last_word_end, latest=end)
        start = words[0].start if words else end
        return [Partial(text, start, words[-1].end if words else end, words)]

    def spot(
        self,
        events: Sequence[Event],
        words: Sequence[Word],
        language: str,
        *,
        ended: bool = False,
        doubtful: Collection[str] = (),
    ) -> list[Event]:
        """Return the new events of the keywords.

        :param events: the events since the last call. The words of their finals count as final.
        :param words: the words after the last final word.
        :param ended: whether the utterance is over.
        :param doubtful: keywords that get no new hits. Their pending hits are still followed.
        """
        final = [word for event in events if isinstance(event, Final) for word in event.words]
        return list(self._spotter.update(final, words, language, ended=ended, doubtful=doubtful))

    def spotted(self) -> Spotted:
        """Return the state of the keywords at the end of an utterance, or at a cut."""
        return self._spotter.spotted()


def _parted(words: tuple[Word, ...], agreed: Agreed) -> tuple[tuple[Word, ...], tuple[Word, ...]]:
    """Return the final words and the others. The mark between them goes to the others unless it is agreed."""
    final, rest = words[: agreed.words], words[agreed.words :]
    if not (final and rest) or agreed.mark:
        return final, rest
    last = final[-1]
    return (*final[:-1], last.without_mark), (rest[0].after(last), *rest[1:])
