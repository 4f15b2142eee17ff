"""Which model writes what: by task, persona and request; and what happens while there is none."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.engine import Engine
from engine.errors import BadRequest
from engine.imagining import Wish
from engine.language import PersonaWanted, PromptWanted, ReplyWanted, Source, Task, Wanted
from engine.language import shelf as shelves
from engine.language.local import Local
from engine.language.scribe import State
from engine.language.shelf import Instructions, Shelf
from engine.language.understudy import Understudy
from engine.language.writers import Writers
from engine.settings import LanguageSettings, ServerSettings, Settings
from personas.appearance import Scene
from personas.cast import shipped_cast
from personas.prompting import Line

JIDE, *_ = shipped_cast()


@pytest.fixture
def home(tmp_path: Path, tiny_model: Path, tiny_spm_model: Path) -> Path:
    """Two models, in the places where they are looked for."""
    for name, model in (("alpha", tiny_model), ("beta", tiny_spm_model)):
        folder = tmp_path / "home" / "models" / "text" / name
        folder.mkdir(parents=True)
        shutil.copy(model, folder / f"{name}.gguf")
    return tmp_path / "home"


def settings(home: Path, **language: Any) -> Settings:
    usual = {"context": 8_192, "reply_tokens": 24}
    return Settings(home=home, language=LanguageSettings(**(usual | language)), server=ServerSettings())


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[list[Shelf]]:
    shelves: list[Shelf] = []
    yield shelves
    for one in shelves:
        await one.close()


def shelf(opened: list[Shelf], told: Settings) -> Shelf:
    opened.append(
        Shelf(told, Instructions("You invent people.", "You write prompts."), here=told.home.parent)
    )
    return opened[-1]


def reply(**more: Any) -> ReplyWanted:
    return ReplyWanted(more.pop("persona", JIDE), (Line(False, "Hello"),), "Ana", seed=3, **more)


async def names(made: Shelf, wanted: Wanted) -> list[str]:
    return [one.name for one in await made.for_(wanted)]


async def test_the_first_that_is_found_writes_everything(home: Path, opened: list[Shelf]) -> None:
    made = shelf(opened, settings(home))
    for wanted in (reply(), PromptWanted(Scene(JIDE, "a walk")), PersonaWanted()):
        assert await names(made, wanted) == ["alpha"]
    assert "the first that was found" in (await made.choice(Task.CHAT)).reason
    assert len(made.told()) == 1, "one loaded model serves all tasks that agree on it"


async def test_each_task_may_have_its_own(home: Path, opened: list[Shelf]) -> None:
    made = shelf(opened, settings(home, model="beta", prompts="alpha"))
    assert await names(made, reply()) == ["beta"]
    assert await names(made, PromptWanted(Scene(JIDE, "a walk"))) == ["alpha"]
    assert await names(made, PersonaWanted()) == ["beta"]


async def test_a_persona_speaks_with_its_own_where_that_is_allowed(home: Path, opened: list[Shelf]) -> None:
    beta = JIDE.model_copy(update={"model": "beta"})
    assert await names(shelf(opened, settings(home, allowed=("Beta",))), reply(persona=beta)) == ["beta"]
    assert await names(shelf(opened, settings(home)), reply(persona=beta)) == ["alpha"]


async def test_a_request_names_one_of_those_that_are_allowed_or_is_refused(
    home: Path, opened: list[Shelf]
) -> None:
    made = shelf(opened, settings(home, allowed=("beta",)))
    assert await names(made, PersonaWanted(model="beta")) == ["beta"]
    with pytest.raises(BadRequest, match="beta"):
        await made.for_(PersonaWanted(model="/etc/passwd"))
    with pytest.raises(BadRequest):
        await shelf(opened, settings(home, models="off")).for_(PersonaWanted(model="beta"))


async def test_switched_off_nothing_is_looked_for(home: Path, opened: list[Shelf]) -> None:
    made = shelf(opened, settings(home, models="off"))
    await made.warm()
    assert await made.for_(reply()) == ()
    assert made.told() == []


@pytest.mark.parametrize(("turn", "order"), [("first", ["there", "alpha"]), ("second", ["alpha", "there"])])
async def test_another_server_stands_before_or_behind(
    home: Path, opened: list[Shelf], turn: str, order: list[str]
) -> None:
    server = ServerSettings.model_validate(
        {"address": "http://127.0.0.1:9/v1", "model": "there", "turn": turn}
    )
    made = shelf(opened, settings(home).model_copy(update={"server": server}))
    assert await names(made, reply()) == order


async def test_the_house_loads_its_model_before_anybody_asks(home: Path, opened: list[Shelf]) -> None:
    made = shelf(opened, settings(home))
    await made.warm()
    [(name, state, _)] = made.told()
    assert name == "alpha"
    assert state in (State.LOADING, State.READY)


async def test_words_and_pictures_share_a_device_or_do_not(home: Path, opened: list[Shelf]) -> None:
    made = shelf(opened, settings(home))
    assert not made.shares("cpu"), "nothing is loaded"
    await made.warm()
    [one] = await made.for_(reply())
    assert isinstance(one, Local)
    await one.scribe.up()
    assert made.shares("cpu")
    assert made.shares(""), "where it is not known yet, it may be"
    assert not made.shares("cuda (a card)")
    assert await one.scribe.rest()
    assert not made.waiting


async def test_a_model_that_was_not_there_is_used_once_it_is(
    tmp_path: Path, tiny_model: Path, opened: list[Shelf], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelves, "LOOK_AGAIN", 0.0)
    (tmp_path / "home").mkdir()
    made = shelf(opened, settings(tmp_path / "home"))
    writers = Writers([Understudy()], choose=made.for_)
    assert (await writers.write(reply())).source is Source.UNDERSTUDY
    folder = tmp_path / "home" / "models" / "mine"
    folder.mkdir(parents=True)
    shutil.copy(tiny_model, folder / "mine.gguf")
    told = await writers.write(reply())
    assert (told.source, told.model) == (Source.MODEL, "mine")


async def test_a_file_that_is_broken_lets_the_understudy_answer_and_says_why(
    tmp_path: Path, tiny_model: Path, opened: list[Shelf]
) -> None:
    folder = tmp_path / "home" / "models" / "half"
    folder.mkdir(parents=True)
    whole = await asyncio.to_thread(tiny_model.read_bytes)
    (folder / "half.gguf").write_bytes(whole[:90_000])
    made = shelf(opened, settings(tmp_path / "home"))
    writers = Writers([Understudy()], choose=made.for_)
    assert (await writers.write(reply())).source is Source.UNDERSTUDY
    [(_, state, why)] = made.told()
    assert state is State.BROKEN
    assert "half.gguf cannot be loaded" in why


@pytest.mark.parametrize("isolate", [False, True])
async def test_a_whole_engine_writes_with_the_model_that_lies_in_its_home(home: Path, isolate: bool) -> None:
    told = settings(home, isolate=isolate)
    async with Engine.open(told) as engine:
        persona = await engine.casting.invent(kind="fitness", name="Ruth")
        assert persona.name == "Ruth"
        record = await engine.casting.keep(persona, origin="made")
        request = await engine.imagining.compose(record, Wish("on the roof"))
        assert request.source is Source.MODEL
        assert request.word_count in range(100, 201)
        assert request.prompt_version == "picture.v1"
        mine = record.persona.model_copy(
            update={
                "picture": record.persona.picture.model_copy(
                    update={"instructions": "{{original}} Always at sea."}
                )
            }
        )
        own = await engine.imagining.compose(replace(record, persona=mine), Wish("on the roof"))
        assert own.prompt_version == f"{record.persona.slug} r{record.revision} over picture.v1"
