"""The context: the end of the final text, in one language."""

from __future__ import annotations

from whisper_service.session.context import Context


def test_the_tail_begins_with_a_word() -> None:
    context = Context()
    for number in range(100):
        context = context.followed_by(f" word{number:03}", "en")
    told = context.before("en")
    assert told.endswith(" word099") and told.startswith(" word08") and len(told) <= 120


def test_text_of_another_language_is_never_told() -> None:
    context = Context()
    context = context.followed_by(" Guten Tag.", "de")
    assert context.before("en") == "" == context.before(None)
    context = context.followed_by(" Good morning.", "en")
    assert context.before("en") == " Good morning." and context.before("de") == ""


def test_a_language_without_spaces_is_cut_anywhere() -> None:
    context = Context()
    context = context.followed_by("明天考试" * 50, "zh")
    assert len(context.before("zh")) == 120


def test_what_led_astray_is_forgotten() -> None:
    """A text that has misled the model is dropped."""
    context = Context()
    context = context.followed_by(" Thank you.", "en")
    assert context.forgotten().before("en") == ""
