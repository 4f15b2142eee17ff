"""How the engine opens a home and closes it, and what it says of one that it cannot use."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.engine import Engine
from engine.errors import SettingsError, StoreError
from engine.settings import Settings, StoreSettings
from engine.store import personas
from engine.testing import FakeLanguage


async def test_it_opens_a_home_that_was_never_there_and_opens_it_again(settings: Settings) -> None:
    for _ in range(2):
        async with Engine.open(settings) as opened, opened.database.read() as tx:
            assert len(await personas.listing(tx)) >= 8
    assert settings.home.stat().st_mode & 0o077 == 0, "what people said is nobody else's"


@pytest.mark.parametrize("name", ["a home with spaces", "50% #1 ü & co"])
async def test_a_home_may_have_any_name(settings: Settings, tmp_path: Path, name: str) -> None:
    async with Engine.open(settings.model_copy(update={"home": tmp_path / name})):
        pass
    assert (tmp_path / name / "greenroom.db").stat().st_size > 0


async def test_what_it_opened_is_closed_also_when_something_fails(settings: Settings) -> None:
    model = FakeLanguage()
    with pytest.raises(ZeroDivisionError):
        async with Engine.open(settings, models=[model]):
            raise ZeroDivisionError
    assert model.fails, "a closed fake refuses to write"


async def test_styles_of_the_operator_are_taken_in_and_mistakes_are_told(settings: Settings) -> None:
    own = settings.home / "styles.toml"
    own.write_text('[dusk]\nname = "Dusk"\nwords = "blue hour"\n')
    async with Engine.open(settings) as opened:
        assert opened.imagining.styles["dusk"].words == "blue hour"
    own.write_text("[dusk]\nname = 5\n")
    with pytest.raises(SettingsError, match="dusk"):
        async with Engine.open(settings):
            pass


@pytest.mark.parametrize(
    "address", ["nonsense", "mysql://u:hunter2@h/x", "postgresql://u:hunter2@h:port/x", "://", "sqlite"]
)
async def test_an_address_that_is_none_is_told_without_its_password(settings: Settings, address: str) -> None:
    told = settings.model_copy(update={"store": StoreSettings.model_validate({"database": address})})
    with pytest.raises(StoreError, match=r"store\.database") as error:
        async with Engine.open(told):
            pass
    assert "hunter2" not in str(error.value)


async def test_a_home_that_is_a_file_is_told(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(StoreError, match="taken"):
        async with Engine.open(settings.model_copy(update={"home": tmp_path / "taken"})):
            pass
