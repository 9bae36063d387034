"""The other engines get Whisper's own vocabulary, English-only or multilingual."""

from __future__ import annotations

import pytest

from benchmarks.byte_pairs import byte_pairs


@pytest.mark.parametrize(("multilingual", "count"), [(False, 50_256), (True, 50_257)])
def test_every_longer_token_has_a_merge_that_leads_to_it(multilingual: bool, count: int) -> None:
    vocabulary, merges = byte_pairs(multilingual=multilingual)
    assert sorted(vocabulary.values()) == list(range(count))
    assert {token for token in vocabulary if len(token) > 1} == {first + second for first, second in merges}
    assert ("" in vocabulary) is multilingual
