"""Who goes through the model together, and one count of steps over everything that is done."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from engine.pictures import Looks, PictureWanted, Preview
from engine.pictures.sdxl.passes import Manner, Pass, Way, together
from engine.pictures.sdxl.recipes import HIRES_STRENGTH, SCHEDULERS, Recipe
from personas.appearance import Ledger, Scene
from personas.persona import Persona

SCENE = Scene(Persona(slug="ada", name="Ada Quill", age=40), "on a bridge", Ledger(), 7)


def manner(steps: int, first: tuple[int, int] | None = None, strength: float | None = None) -> Manner:
    return Manner(Recipe(steps, 7.5, SCHEDULERS["euler"]), (128, 64), first, strength, (), (1,))


@given(st.lists(st.none() | st.integers(1, 4)), st.integers(1, 5))
def test_everybody_goes_once_in_order_and_with_their_like(steps: list[int | None], at_once: int) -> None:
    manners = [None if one is None else manner(one) for one in steps]
    passes = together(manners, at_once)
    assert sorted(place for one in passes for place in one) == [
        place for place, one in enumerate(manners) if one is not None
    ]
    for one in passes:
        assert 1 <= len(one) <= at_once
        assert one == sorted(one)
        assert len({manners[place] for place in one}) == 1
    # Nobody is sent alone who could have gone with others.
    assert len(passes) == sum(
        -(-sum(other == one for other in manners) // at_once) for one in set(manners) if one is not None
    )
    if manners and manners[0] is not None:
        assert passes[0][0] == 0


def test_a_large_picture_goes_twice() -> None:
    assert manner(4).legs == (None,)
    assert manner(4, strength=0.5).legs == (0.5,)
    twice = manner(4, first=(64, 32))
    assert (twice.sizes, twice.legs) == (((64, 32), (128, 64)), (None, HIRES_STRENGTH))
    assert manner(4, strength=0.0).kept
    assert not manner(4).kept


def test_halves_are_all_of_a_pass_and_know_what_was_tried() -> None:
    wanted = tuple(PictureWanted(SCENE, "a", "", seed) for seed in range(5))
    whole = Pass(manner(4), wanted, (3, 5, 6, 8, 9)).after("halves")
    first, second = whole.halves()
    assert first.wanted + second.wanted == wanted
    assert first.places + second.places == whole.places
    assert first.spared == second.spared == {"halves"}
    assert whole.only(2).wanted == wanted[2:3]


def test_looks_are_told_by_their_places_in_the_whole_however_often_a_pass_is_cut() -> None:
    wanted = tuple(PictureWanted(SCENE, "a", "", seed) for seed in range(4))
    whole = Pass(manner(4), wanted, (3, 5, 6, 8))
    images = [Image.new("RGB", (1, 1), (number, 0, 0)) for number in range(4)]
    looks = Looks({number: image.copy for number, image in enumerate(images)})
    for one, places in ((whole, [3, 5, 6, 8]), (whole.halves()[1], [6, 8]), (whole.halves()[1].only(1), [8])):
        its = Looks({number: looks.each[number] for number in range(len(places))})
        seen = one.seen(its)
        assert isinstance(seen, Looks)
        assert list(seen.each) == places
        assert [look() for look in seen.each.values()] == images[: len(places)]
        assert seen() == images[0]
    assert whole.seen(images[2].copy)() == images[2], "what does not say whose it is stays so"


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.data())
def test_steps_grow_up_to_the_last_whatever_is_done_again(steps: list[int], data: st.DataObject) -> None:
    told: list[tuple[int, int]] = []

    def tell(step: int, total: int, _preview: Preview | None = None) -> None:
        told.append((step, total))

    parts = Way(tell, sum(steps)).part(0, sum(steps)).cut(steps)
    for part, count in zip(parts, steps, strict=True):
        failed = data.draw(st.integers(0, count))
        for step in [*range(1, failed + 1), *range(1, count + 1)]:
            part(step, count, lambda: Image.new("RGB", (1, 1)))
        part.end()(1, count, lambda: Image.new("RGB", (1, 1)))
    assert [step for step, _ in told] == sorted(step for step, _ in told)
    assert {step for step, _ in told} == set(range(1, sum(steps) + 1))
    assert {total for _, total in told} == {sum(steps)}
