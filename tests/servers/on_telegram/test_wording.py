"""What Telegram makes of a text by itself, and where its entities are afterwards."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.servers.telegram import rules, wording

WORDS = st.text(alphabet=st.sampled_from("ab @/#🦊\n_é:.htps"), max_size=40)


@given(WORDS)
def test_what_the_platform_finds_by_itself_always_fits(text: str) -> None:
    clean, entities = wording.trimmed(text, wording.merged(text, []))
    assert rules.check_entities(clean, entities) == entities


@given(WORDS, st.data())
def test_trimming_moves_entities_along_with_their_words(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    one = {"type": "bold", "offset": rules.utf16(text[:start]), "length": rules.utf16(text[start:end])}
    clean, kept = wording.trimmed(text, [one])
    words = [wording.slice16(clean, entity["offset"], entity["length"]) for entity in kept]
    assert all(word in text[start:end] for word in words)
    if text[start:end].strip():
        assert words[0].strip() == text[start:end].strip()
