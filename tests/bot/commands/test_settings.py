"""/settings: whose word counts for what, and that an age is confirmed by agreeing to a sentence."""

from __future__ import annotations

import pytest

from engine.engine import Engine
from engine.errors import BadRequest, Refused
from engine.settings import PeopleSettings, SafetySettings, Settings
from engine.store import chats
from engine.store.records import Place
from personas.persona import Rating
from tests.bot.commands.guest import Guest, orders_in


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Ana runs this house, and lets places be for mature people."""
    return settings.model_copy(
        update={
            "people": PeopleSettings(operators=("stage:ana",)),
            "safety": SafetySettings(rating=Rating.MATURE),
        }
    )


async def place_of(guest: Guest) -> Place:
    async with guest.engine.database.read() as tx:
        place = await chats.place(tx, guest.chat)
    assert place is not None
    return place


async def test_what_is_set_is_shown_with_what_one_may_change(
    ana_in_hall: Guest, ben: Guest, ben_in_hall: Guest
) -> None:
    [operators] = await ana_in_hall.gets("/settings")
    [others] = await ben_in_hall.gets("/settings")
    [private] = await ben.gets("/settings show")
    assert operators.manner.quiet
    assert "I speak English with you." in operators.text
    assert orders_in(operators) == [
        "settings language de",
        "settings answers all",
        "settings rating mature",
        "settings adult yes",
    ]
    assert orders_in(others) == ["settings language de", "settings adult yes"]
    assert "Whoever calls a persona here" in others.text
    assert "calls a persona" not in private.text


@pytest.mark.parametrize("told", ["de", "DE", "Deutsch", "deutsch"])
async def test_somebody_is_spoken_to_in_their_language(ben: Guest, told: str) -> None:
    assert "rede ich Deutsch mit dir" in await ben.does(f"/settings language {told}")
    assert await ben.does("/queue") == "Von dir steht nichts in der Reihe."
    assert "From now on I speak English" in await ben.does("/settings language english")


async def test_a_language_that_is_not_there_is_asked_back(ben: Guest) -> None:
    with pytest.raises(BadRequest, match=r"English \(en\) and Deutsch \(de\)"):
        await ben.does("/settings language tlh")


async def test_those_in_charge_say_who_is_answered(ben_in_hall: Guest, ben: Guest) -> None:
    with pytest.raises(Refused, match="charge"):
        await ben_in_hall.does("/settings answers all")

    async def everybody(_platform_id: str) -> bool:
        return True

    ben_in_hall.in_charge = everybody
    assert "Everybody is answered" in await ben_in_hall.does("/settings answers all")
    assert (await place_of(ben_in_hall)).settings == {"answers": "all"}
    await ben_in_hall.does("/settings answers CALLED")
    assert (await place_of(ben_in_hall)).settings == {"answers": "called"}
    with pytest.raises(BadRequest, match="by ourselves"):
        await ben.does("/settings answers all")
    with pytest.raises(BadRequest, match="/settings answers called"):
        await ben_in_hall.does("/settings answers nobody")


async def test_the_operator_says_how_grown_up_a_place_is_and_is_told_what_else_it_takes(
    ana_in_hall: Guest, ben_in_hall: Guest
) -> None:
    ana_in_hall.allows_mature = False
    told = await ana_in_hall.does("/settings rating mature")
    assert "✓ the operator" in told
    assert "✗ the platform" in told
    assert "✗ you have said that you are of age" in told
    assert (await place_of(ana_in_hall)).rating is Rating.MATURE
    assert await ana_in_hall.does("/settings rating all-ages") == "From now on: all-ages."
    with pytest.raises(Refused, match="mature is the most"):
        await ana_in_hall.does("/settings rating adult")
    with pytest.raises(BadRequest, match="all-ages, mature or adult"):
        await ana_in_hall.does("/settings rating filthy")
    with pytest.raises(Refused, match="runs this house"):
        await ben_in_hall.does("/settings rating mature")


async def test_an_age_is_confirmed_by_agreeing_and_can_be_taken_back(engine: Engine, ben: Guest) -> None:
    [asks] = await ben.gets("/settings adult yes")
    assert "at least 18 years old" in asks.text
    assert asks.manner.quiet
    assert orders_in(asks) == ["settings adult confirm", "settings adult no"]
    assert (await ben.person()).adult_confirmed_at is None, "asking is not agreeing"
    await ben.gets("/settings adult confirm")
    assert (await ben.person()).adult_confirmed_at == engine.clock.now()
    [shown] = await ben.gets("/settings")
    assert "✓ you have said" in shown.text
    assert "settings adult no" in orders_in(shown)
    await ben.gets("/settings adult no")
    assert (await ben.person()).adult_confirmed_at is None
    with pytest.raises(BadRequest, match="adult yes"):
        await ben.does("/settings adult perhaps")


class TestAHouseForAllAges:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"safety": SafetySettings()})

    async def test_nobody_has_to_say_how_old_they_are(self, ben: Guest) -> None:
        for order in ("/settings adult yes", "/settings adult confirm"):
            with pytest.raises(BadRequest, match="for all ages"):
                await ben.does(order)
        assert (await ben.person()).adult_confirmed_at is None
        assert "settings adult yes" not in orders_in((await ben.gets("/settings"))[-1])


async def test_a_part_that_is_not_there_is_asked_back(ben: Guest) -> None:
    with pytest.raises(BadRequest, match="There are: show, language, answers, rating, adult"):
        await ben.does("/settings colour red")
