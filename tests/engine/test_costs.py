"""What pictures cost: by the time that they take, to the cent, and the same wherever it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from engine import costs
from engine.engine import Engine
from engine.ordering import Order
from engine.settings import Settings
from engine.store import audits
from engine.store.tables import pictures, runs
from engine.testing import FakeLanguage, FakeRenderer
from tests.engine.test_runs import done, made

#: So dear that a picture of a moment is worth something.
PER_HOUR = 86_399.99


@pytest.fixture
async def dear(settings: Settings, language: FakeLanguage) -> AsyncIterator[Engine]:
    priced = settings.pictures.model_copy(update={"cost_per_hour": PER_HOUR, "currency": "EUR"})
    told = settings.model_copy(update={"pictures": priced})
    async with Engine.open(told, models=[language], renderer=FakeRenderer(pause=0.004)) as engine:
        yield engine


def test_what_floats_make_of_money_is_not_told() -> None:
    assert costs.of_time(36, 12.5) == 0.125
    assert costs.of_time(1, 0) == 0
    assert costs.kept(0.1 + 0.2) == 0.3
    assert costs.kept(sum([0.1] * 1_000)) == 100
    assert [costs.told(cost) for cost in (0, 0.001, 0.005, 0.015, 1.005, 12.345)] == [
        "0",
        "less than 0.01",
        "0.01",
        "0.02",
        "1.01",
        "12.35",
    ]
    assert (costs.told(2, "EUR"), costs.told(0.001, "EUR")) == ("2.00 EUR", "less than 0.01 EUR")


CENT = Decimal("0.01")
amounts = st.lists(st.floats(0, 10_000).map(costs.kept), max_size=60)


def cents(told: str) -> Decimal:
    return Decimal(0) if told.startswith("less than") else Decimal(told)


@given(amounts)
def test_shares_that_are_told_add_up_to_what_is_told_of_their_sum(parts: list[float]) -> None:
    told = costs.told_together(parts)
    whole = sum((Decimal(repr(part)) for part in parts), Decimal())
    assert sum(map(cents, told)) == cents(costs.told(float(whole)))
    for part, one in zip(parts, told, strict=True):
        assert abs(cents(one) - Decimal(repr(part))) < CENT, "none is a cent off"
        assert (one == "0") == (part == 0), "and what costs something is not told to be free"


@given(amounts, st.sampled_from(["1", "0.1", "0.01"]).map(Decimal))
def test_who_has_more_is_never_told_less(parts: list[float], unit: Decimal) -> None:
    shares = costs.apportioned(parts, unit)
    told = sorted(zip(parts, shares, strict=True))
    assert [share for _, share in told] == sorted(shares)
    assert costs.apportioned([float(share) for share in shares], unit) == shares, "what is whole stays so"


def test_three_equal_shares_of_one_are_not_told_as_99_cents() -> None:
    assert costs.told_together([0.334, 0.333, 0.333]) == ("0.34", "0.33", "0.33")
    assert costs.told_together([0.335, 0.335, 0.33]) == ("0.34", "0.33", "0.33"), "nor as 101"
    assert costs.told_together([0.004, 0.0]) == ("less than 0.01", "0")
    assert costs.told_together([]) == ()


async def test_each_picture_has_the_cost_of_its_time_and_all_that_is_told_adds_up(dear: Engine) -> None:
    one = await made(dear, limit=3)
    other = await made(dear, limit=3, missing_only=False, key="again")
    for standing in (one, other):
        async with dear.database.read() as tx:
            asked = select(pictures.c.seconds, pictures.c.cost).where(pictures.c.run_id == standing.run.id)
            rows = (await tx.execute(asked)).all()
            kept = (await tx.execute(select(runs.c.cost).where(runs.c.id == standing.run.id))).scalar_one()
            lines = await audits.lines(tx, standing.run.id)
        assert len(rows) == 3
        assert all(row.cost == costs.of_time(row.seconds, PER_HOUR) > 0 for row in rows)
        exact = sum(Decimal(repr(row.cost)) for row in rows)
        assert Decimal(repr(standing.counts.cost)) == Decimal(repr(kept)) == exact
        assert sum(Decimal(repr(line.cost)) for line in lines) == exact
        assert standing.currency == "EUR"
    both = await dear.database.look(lambda tx: audits.compare(tx, one.run.id, other.run.id))
    for run, shares in ((one, [each.one for each in both]), (other, [each.other for each in both])):
        told = sum(Decimal(repr(share.cost)) for share in shares if share)
        assert told == Decimal(repr(run.counts.cost))


async def test_a_dry_run_reckons_with_the_price_of_now(dear: Engine, settings: Settings) -> None:
    standing = await made(dear, limit=3)
    plan = await dear.runs.plan(Order(limit=3))
    assert costs.told(plan.cost, plan.currency) == costs.told(standing.counts.cost, "EUR")
    cheaper = settings.pictures.model_copy(update={"cost_per_hour": PER_HOUR / 2})
    told = settings.model_copy(update={"pictures": cheaper})
    async with Engine.open(told, models=[FakeLanguage()], renderer=FakeRenderer()) as engine:
        half = await engine.runs.plan(Order(limit=3))
    assert half.cost == pytest.approx(plan.cost / 2, abs=1e-6)


async def test_time_that_has_no_price_costs_nothing(engine: Engine) -> None:
    standing = await made(engine, limit=2)
    assert (standing.counts.pictures, standing.counts.cost) == (2, 0)
    assert (await done(engine, standing.run)).run.cost == 0
