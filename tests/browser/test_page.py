from __future__ import annotations

import json
import math
import warnings
from functools import cache
from typing import Any

import jiwer
import pytest
from whisper.normalizers import EnglishTextNormalizer

from tests.browser.conftest import OpenPage
from tests.browser.page import LivePage, frames_and_rate
from tests.browser.test_marks import choose_keywords, marked
from tests.servers import ROOT, Server

pytestmark = pytest.mark.browser

SAMPLE_RATE = 16_000
REFERENCE: dict[str, Any] = json.loads((ROOT / "tests" / "data" / "talk-00.json").read_text())
#: The demonstration model's own errors, and those of a browser's microphone path.
MAX_WORD_ERROR_RATE = 0.15
LAST_WORDS = "east coast"
#: In the pause after the fourth sentence.
HALF_S = 14.4
HALF_LAST_WORDS = "chemistry test"
#: Letters of the next word that the page may have heard before it stopped.
SLACK = 10
STRICT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "media-src 'self' blob:; worker-src blob:"
)
NO_MICROPHONE = "Object.defineProperty(navigator, 'mediaDevices', { value: undefined });"


@cache
def normalizer() -> EnglishTextNormalizer:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves its word list open
        return EnglishTextNormalizer()


def normalized(text: str) -> str:
    words: str = normalizer()(text)
    return words


def assert_right(
    text: str, *, until_s: float = math.inf, last_words: str = LAST_WORDS, slack: int = 0
) -> None:
    """Fail unless ``text`` is what was said in the talk until a time, to its last words."""
    said = " ".join(word["word"] for word in REFERENCE["words"] if word["end"] <= until_s)
    words = normalized(text)
    rate = jiwer.wer(normalized(said), words)
    assert rate <= MAX_WORD_ERROR_RATE, text
    assert last_words in words[-len(last_words) - slack :], text


def assert_accounted_for(page: LivePage) -> None:
    """Fail unless the server has accounted for each sample that the page sent."""
    sizes = [frames_and_rate(slice_) for slice_ in page.slices]
    (rate,) = {rate for _, rate in sizes}
    sent = sum(frames for frames, _ in sizes) * SAMPLE_RATE / rate
    (done,) = page.messages_of("done")
    assert abs(done["received_samples"] - sent) <= 1
    assert done["lost_samples"] == 0


def test_a_talk_into_the_microphone_becomes_text_while_it_is_spoken(
    server: Server, open_page: OpenPage
) -> None:
    with open_page(server) as page:
        page.press("#talk")
        page.wait_for_state("listening")
        page.wait_until(lambda: bool(page.partials))
        page.wait_until(lambda: bool(page.confirmed))
        first = page.confirmed
        page.wait_until(lambda: page.seconds_sent >= HALF_S)
        assert page.confirmed != first
        page.press("#talk")
        page.wait_for_state("done")

        assert page.confirmed.startswith(first)
        assert page.banners == []
        assert_right(page.transcript, until_s=HALF_S, last_words=HALF_LAST_WORDS, slack=SLACK)
        assert_accounted_for(page)


def test_the_last_words_before_stop_reach_the_server(server: Server, open_page: OpenPage) -> None:
    with open_page(server) as page:
        page.press("#talk")
        page.wait_until(lambda: page.seconds_sent >= 8)  # "Although all of the shots ..."
        page.press("#talk")
        page.wait_for_state("done")

        assert_accounted_for(page)
        kinds = [kind for kind, _ in page.sent_in]
        assert kinds == ["slice"] * len(page.slices) + ["text"]
        # The tail: what the microphone had heard and no regular slice had held yet.
        assert page.sent_in[-2:] == [("slice", "finishing"), ("text", "finishing")]
        assert ("slice", "listening") in page.sent_in
        assert frames_and_rate(page.slices[-1])[0] > 0
        said = normalized(page.transcript)
        assert said.startswith(normalized("There will be two questions in the algebra test."))
        assert "at this stage although" in said


def test_the_sample_plays_through_the_service(server: Server, open_page: OpenPage) -> None:
    """With keywords, so that a real talk shows that too."""
    with open_page(server) as page:
        choose_keywords(page, "coasts, zebra")
        page.press("#sample")
        page.wait_for_state("listening")
        page.wait_for_state("done")

        assert page.seconds_sent == pytest.approx(REFERENCE["seconds"], abs=0.01)
        assert_right(page.transcript)
        assert_accounted_for(page)
        hits = page.messages_of("keyword")
        assert {message["keyword"] for message in hits} == {"coasts"}
        assert marked(page) == [message["text"].strip(".,") for message in hits if message["final"]]
        assert marked(page)[-1] == "coast"


def test_without_a_microphone_the_page_says_what_to_do_and_plays_the_sample(
    server: Server, open_page: OpenPage
) -> None:
    with open_page(server, init_script=NO_MICROPHONE) as page:
        (banner,) = page.banners
        assert "cannot use the microphone: browsers allow it only over https, or on localhost" in banner
        assert f"http://localhost:{server.port}" in banner
        page.press("#talk")
        assert page.banners == [banner]
        assert page.page.get_attribute("#state", "data-state") == "idle"

        page.press("#sample")
        page.wait_for_words("There will be two questions")
        page.page.keyboard.press("Escape")
        page.wait_for_state("done")
        assert page.transcript.startswith("There will be two questions")


def test_a_strict_content_security_policy_breaks_nothing(server: Server, open_page: OpenPage) -> None:
    with open_page(server, policy=STRICT_POLICY) as page:
        page.press("#talk")
        page.wait_until(lambda: bool(page.confirmed))
        page.page.keyboard.press("Escape")
        page.wait_for_state("done")
        assert_accounted_for(page)

        page.press("#clear")
        assert page.transcript == ""
        page.press("#sample")
        page.wait_until(lambda: bool(page.partials and page.page.locator(".partial").text_content()))
        page.page.keyboard.press("Escape")
        page.wait_for_state("done")
        assert page.banners == []  # a forbidden load would be told here


def test_the_page_runs_no_script_but_its_own(server: Server, open_page: OpenPage) -> None:
    complaints = ("Executing inline script", "Loading the script", "Refused to", "Connecting to")
    with open_page(server, complaints=complaints) as page:
        ran = page.page.evaluate(
            """async () => {
              const inline = document.createElement('script');
              inline.textContent = 'window.ran = true';
              document.body.append(inline);
              const foreign = document.createElement('script');
              foreign.src = 'data:text/javascript,window.ran = true';
              document.body.append(foreign);
              await new Promise((resolve) => setTimeout(resolve, 300));
              return window.ran ?? false;
            }"""
        )
        assert ran is False
