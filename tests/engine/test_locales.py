"""The languages of the house: complete, alike in what they tell, and each with its own customs."""

from __future__ import annotations

import ast
import pickle
import re
import shutil
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from string import Formatter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine import locales
from engine.errors import NotFound
from engine.locales import COUNTED, ENGLISH, FromNow, Locale, Said, languages, locale_of, say

ROOT = Path(__file__).parent.parent.parent
HOME = ROOT / "data" / "locales"
KEY = re.compile(r"[a-z_-]+(?:\.[a-z0-9_-]+)+")

#: Keys that are put together from more than an f-string can show.
BUILT: tuple[str, ...] = ()


def forms_of(sentence: str | object) -> dict[str, str]:
    """A sentence's forms; one that has a single form has it under the name `other`."""
    return dict(sentence) if isinstance(sentence, dict) else {"other": str(sentence)}


def facts_in(form: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(form) if name is not None}


def needed(sentence: str | object) -> set[str]:
    """The facts that whoever says a sentence has to give, told in English or only counted by."""
    facts = set().union(*(facts_in(form) for form in forms_of(sentence).values()))
    return facts | {COUNTED} if isinstance(sentence, dict) else facts


@cache
def code() -> tuple[ast.AST, ...]:
    """Every node of the floors that speak."""
    files = [*(ROOT / "bot").rglob("*.py"), *(ROOT / "engine").rglob("*.py")]
    return tuple(node for file in files for node in ast.walk(ast.parse(file.read_text("utf-8"))))


def sayings() -> Iterator[ast.Call]:
    """Every `say("…")` and `….say("…")`."""
    for node in code():
        if isinstance(node, ast.Call) and node.args:
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name == "say":
                yield node


def beginning(node: ast.AST) -> str:
    """What an f-string begins with: `say(f"safety.empty.{what}")` may say whatever begins so."""
    if isinstance(node, ast.JoinedStr) and node.values and isinstance(node.values[0], ast.Constant):
        return str(node.values[0].value)
    return ""


def said_literally() -> dict[str, list[ast.Call]]:
    """The calls by their key, where a call names its key."""
    found: dict[str, list[ast.Call]] = {}
    for call in sayings():
        key = call.args[0]
        # The understudy's phrases have keys without a dot, and are a persona's words.
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and KEY.fullmatch(key.value):
            found.setdefault(key.value, []).append(call)
    return found


# The files


@pytest.mark.parametrize("language", languages())
def test_every_language_has_the_sentences_of_english_and_no_others(language: str) -> None:
    there, wanted = set(locale_of(language).sentences), set(locale_of(ENGLISH).sentences)
    assert wanted - there == set(), f"data/locales/{language} lacks these"
    assert there - wanted == set(), f"data/locales/{language} has these, and English does not"


@pytest.mark.parametrize("language", languages())
def test_every_language_tells_the_facts_that_english_tells(language: str) -> None:
    english = locale_of(ENGLISH).sentences
    for key, sentence in locale_of(language).sentences.items():
        assert facts_in(forms_of(sentence)["other"]) == facts_in(forms_of(english[key])["other"]), key
        if isinstance(sentence, dict):
            assert COUNTED in needed(english[key]), f"{key} has forms here, and nothing to choose them by"


@pytest.mark.parametrize("language", languages())
def test_what_is_counted_has_a_form_for_every_count_of_the_language(language: str) -> None:
    spoken = locale_of(language)
    counts = {*spoken.customs.plural_form.tags, "other"}
    for key, sentence in spoken.sentences.items():
        if isinstance(sentence, str):
            continue
        assert set(sentence) == counts, key
        for form in sentence.values():
            # “One picture” needs no number; everything else is told in every form.
            assert facts_in(form) ^ facts_in(sentence["other"]) <= {COUNTED}, key


@pytest.mark.parametrize("language", languages())
def test_a_sentence_names_facts_and_nothing_of_their_insides(language: str) -> None:
    for key, sentence in locale_of(language).sentences.items():
        for form in forms_of(sentence).values():
            assert form.strip() == form != "", key
            for _, name, spec, conversion in Formatter().parse(form):
                assert name is None or name.isidentifier(), key
                assert not spec, key
                assert not conversion, key


@pytest.mark.parametrize("language", languages())
def test_a_language_is_named_as_it_is_asked_for(language: str) -> None:
    assert language == language.lower()
    assert locale_of(language).code == language


# The code


def test_every_sentence_that_the_code_says_exists_with_its_facts() -> None:
    english = locale_of(ENGLISH).sentences
    said = said_literally()
    nowhere = sorted(said.keys() - english.keys())
    assert not nowhere, f"these stand nowhere in data/locales/{ENGLISH}: {', '.join(nowhere)}"
    for key, calls in said.items():
        for call in calls:
            given = {keyword.arg for keyword in call.keywords}
            if None not in given:  # not `**facts`
                assert given == needed(english[key]), f"{key}, line {call.lineno}"


def test_every_sentence_that_is_said_by_its_beginning_has_one_that_begins_so() -> None:
    starts = {start for call in sayings() if "." in (start := beginning(call.args[0]))}
    assert starts
    keys = list(locale_of(ENGLISH).sentences)
    empty = sorted(start for start in starts if not any(key.startswith(start) for key in keys))
    assert not empty, f"nothing in data/locales/{ENGLISH} begins so: {', '.join(empty)}"


def test_every_sentence_that_exists_is_said_by_somebody() -> None:
    literals = {node.value for node in code() if isinstance(node, ast.Constant)}
    begun = {beginning(node) for node in code()}
    beginnings = (*BUILT, *(start for start in begun if KEY.fullmatch(f"{start}x")))
    keys = locale_of(ENGLISH).sentences
    unsaid = sorted(key for key in keys if key not in literals and not key.startswith(beginnings))
    assert not unsaid, f"nobody says these: {', '.join(unsaid)}"


# Speaking


def test_numbers_and_what_is_counted_follow_the_customs_of_the_language() -> None:
    german = locale_of("de")
    for n, english, deutsch in [
        (1, "You have one picture waiting", "Du wartest schon auf ein Bild,"),
        (2, "You have 2 pictures waiting", "Du wartest schon auf 2 Bilder,"),
        (1_000, "You have 1,000 pictures waiting", "Du wartest schon auf 1.000 Bilder,"),
    ]:
        said = say("limits.waiting", n=n, most=20)
        assert said.startswith(english)
        assert german.says(said).startswith(deutsch)


@given(st.integers() | st.floats())
@example(10**5_000)
@example(-(10**30))
def test_any_number_can_be_told(number: float) -> None:
    for language in languages():
        told = locale_of(language).say("limits.quick", n=number)
        assert len(told) < 150


def test_an_id_is_told_as_it_is() -> None:
    said = say("pictures.job.unknown", id=str(12_345))
    assert said == "There is no job 12345."
    assert locale_of("de").says(said) == "Einen Auftrag 12345 gibt es nicht."


def test_a_moment_is_told_as_one_and_a_span_is_not() -> None:
    both = {"x.moment": "{free} ist wieder Platz.", "x.span": "Das dauert {free}."}
    german = Locale("de", both, locale_of("de").customs)
    assert german.say("x.moment", free=FromNow(days=2)) == "in 2 Tagen ist wieder Platz."
    assert german.say("x.span", free=timedelta(days=2)) == "Das dauert 2 Tage."


def test_lists_are_told_as_lists() -> None:
    said = say("personas.several", word="Eva", slugs=["eva", "eva-2", "eva-3"])
    assert ": eva, eva-2, and eva-3." in said
    assert locale_of("de").says(said).count(": eva, eva-2 und eva-3.") == 1


def test_a_sentence_inside_a_sentence_is_translated_too() -> None:
    said = say("pictures.failed", id="7", why=say("pictures.persona_gone"))
    assert said == "Picture #7 could not be made. The persona of this picture is no longer here."
    assert locale_of("de").says(said).endswith("Die Persona auf diesem Bild ist nicht mehr da.")


def test_an_error_can_be_told_in_any_language_by_whoever_shows_it() -> None:
    error = NotFound(say("pictures.no_picture", id="7"))
    assert str(error) == "There is no picture 7."
    assert locale_of("de").says(error) == "Ein Bild 7 gibt es nicht."


def test_what_is_nobodys_sentence_stays_as_it_is() -> None:
    assert locale_of("de").says(ValueError("a {mistake}")) == "a {mistake}"
    assert locale_of("de").says("plain") == "plain"
    assert locale_of("de").says(ValueError()) == ""


def test_a_sentence_keeps_its_key_and_facts_where_errors_travel() -> None:
    said = pickle.loads(pickle.dumps(say("limits.waiting", n=2, most=20)))
    assert isinstance(said, Said)
    assert (said.key, dict(said.facts)) == ("limits.waiting", {"n": 2, "most": 20})


@pytest.mark.parametrize(
    "text", ["{0.__class__}", "{x}", "{word.__class__.__mro__}", "{{", "}", "{", "%s", "{word!r:>999}", "{n}"]
)
@pytest.mark.parametrize("language", languages())
def test_what_a_person_wrote_is_never_read_as_a_template(language: str, text: str) -> None:
    told = locale_of(language).say("personas.several", word=text, slugs=[text, "eva"])
    assert told.count(text) >= 2


@given(st.text(max_size=40))
def test_whatever_a_person_wrote_is_told_as_it_is(text: str) -> None:
    said = say("pictures.no_style", style=text, styles=["noir"])
    assert f"“{text}”" in said
    assert f"„{text}“" in locale_of("de").says(said)


# Which language


@pytest.mark.parametrize(
    ("asked", "spoken"),
    [
        ("de", "de"),
        ("de-AT", "de"),
        ("de_CH", "de"),
        ("DE", "de"),
        ("de-Latn-CH", "de"),
        ("en-GB", "en"),
        ("", "en"),
        ("tlh", "en"),
        ("deutsch", "en"),
        ("../de", "en"),
        ("-", "en"),
    ],
)
def test_a_language_is_found_as_platforms_name_it_and_is_english_where_it_is_not_known(
    asked: str, spoken: str
) -> None:
    assert locale_of(asked).code == spoken


def test_a_sentence_that_is_not_translated_is_said_in_english() -> None:
    half = Locale("de", {}, locale_of("de").customs)
    assert half.say("pictures.no_picture", id="7") == "There is no picture 7."


def test_a_sentence_that_is_in_no_language_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError, match=r"no sentence 'pictures\.nonsense'"):
        locale_of("de").say("pictures.nonsense")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of data/locales, which the house reads instead."""
    copied = Path(shutil.copytree(HOME, tmp_path / "locales"))
    monkeypatch.setattr(locales, "_folder", lambda: copied)
    for kept in (locales.languages, locales._locale):
        kept.cache_clear()
    yield copied
    for kept in (locales.languages, locales._locale):
        kept.cache_clear()


def test_a_folder_is_all_that_a_third_language_needs(folder: Path) -> None:
    (folder / "pl").mkdir()
    (folder / "pl" / "limits.toml").write_text(
        '[waiting]\none = "1 obraz; {most}"\nfew = "{n} obrazy; {most}"\n'
        'many = "{n} obrazów; {most}"\nother = "{n} obrazu; {most}"\n'
        '[per_day]\nother = "{n}: {free}"\n',
        encoding="utf-8",
    )
    assert languages() == ("en", "de", "pl")
    polish = locale_of("pl-PL")
    told = [polish.says(say("limits.waiting", n=n, most=20)) for n in (1, 2, 5)]
    assert told == ["1 obraz; 20", "2 obrazy; 20", "5 obrazów; 20"]
    assert polish.says(say("limits.per_day", n=5_000_000, free=FromNow(hours=5))).endswith("za 5 godzin")
    assert polish.says(say("limits.lively")) == say("limits.lively"), "not translated yet"


def test_a_language_of_a_country_goes_before_the_language_itself(folder: Path) -> None:
    (folder / "de-at").mkdir()
    (folder / "de-at" / "limits.toml").write_text('lively = "Da is was los."\n', encoding="utf-8")
    assert locale_of("de-AT").says(say("limits.lively")) == "Da is was los."
    assert locale_of("de-CH").code == "de"


def test_what_explains_the_folder_is_no_language() -> None:
    assert (HOME / "README.md").is_file()
    assert "README.md" not in languages()
