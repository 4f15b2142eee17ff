"""Too little memory: what is decided from the start, what is tried when it runs out, and how the next one is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from engine.broker import Broker
from engine.errors import RenderFailed
from engine.locales import locale_of
from engine.pictures import Rendered
from engine.pictures.sdxl import holding, opening
from engine.pictures.sdxl.finding import look
from engine.pictures.sdxl.renderer import Sdxl
from engine.pictures.sdxl.resting import Resting
from engine.pictures.sdxl.sparing import (
    GIB,
    LONGEST,
    PICTURES,
    SECONDS,
    STEPS,
    USUAL,
    Step,
    Trouble,
    better_again,
    in_order,
    next_step,
    ran_out,
    room_for,
    share_of,
    tried_again,
)
from tests.engine.painted import ON_A_BRIDGE, apart, quiet

pytestmark = pytest.mark.usefixtures("one_thread")

WANTED = replace(ON_A_BRIDGE, prompt="a woman on a (bridge:1.3) at night")
NOT_ENOUGH = "CUDA out of memory. Tried to allocate 2.00 GiB."


@pytest.mark.parametrize(
    ("vram", "at_once", "tiles", "offload"),
    [
        (6, 1, True, True),
        (8, 1, True, True),
        (11.9, 1, True, True),
        (12, 2, True, False),
        (16, 2, True, False),
    ],
)
def test_a_small_card_is_spared_from_the_start(vram: float, at_once: int, tiles: bool, offload: bool) -> None:
    room = room_for(vram)
    assert (room.at_once, room.tiles, room.offload, room.fused) == (at_once, tiles, offload, False)


@pytest.mark.parametrize("vram", [0, 24, 80, 1_000])
def test_a_large_card_is_used_as_usual(vram: float) -> None:
    assert room_for(vram) == USUAL


@given(st.floats(0.1, 1_000), st.floats(0.1, 1_000))
def test_more_memory_is_never_spared_more(one: float, other: float) -> None:
    less, more = (room_for(vram) for vram in sorted((one, other)))
    assert less.tiles >= more.tiles
    assert less.offload >= more.offload
    assert less.fused <= more.fused
    assert (less.at_once or 99) <= (more.at_once or 99)


@pytest.mark.parametrize(
    ("vram", "card", "share"), [(8, 24, 1 / 3), (24, 24, 1), (48, 24, 1), (0, 24, 1), (8, 0, 1)]
)
def test_a_bound_is_a_share_of_the_card(vram: float, card: int, share: float) -> None:
    assert share_of(vram, card * GIB) == pytest.approx(share)


@given(st.integers(1, 16), st.booleans(), st.booleans(), st.booleans())
def test_what_is_tried_comes_to_an_end_and_goes_in_one_direction(
    pictures: int, tiles: bool, offload: bool, on_gpu: bool
) -> None:
    tried: list[Step] = []
    while (step := next_step(pictures, tiles=tiles, offload=offload, on_gpu=on_gpu)) is not None:
        tried.append(step)
        if step == "halves":
            pictures //= 2
        tiles, offload, on_gpu = (
            tiles or step == "tiles",
            offload or step == "offload",
            on_gpu and step != "processor",
        )
        assert len(tried) < 10
    assert sorted(tried, key=STEPS.index) == tried
    assert in_order(set(tried)) == list(dict.fromkeys(tried))
    assert not on_gpu
    assert pictures == 1


# When the better way is taken again


@given(st.floats(0, 1e6), st.integers(1, 200), st.integers(1, LONGEST))
def test_what_makes_do_with_less_goes_on_so_for_a_while_and_not_for_ever(
    began: float, pictures: int, times: int
) -> None:
    trouble = Trouble(began, times=times)
    assert not better_again(trouble, began)
    assert better_again(trouble, began + SECONDS * times + 1)
    assert better_again(trouble.after(pictures), began) is (pictures >= PICTURES * times)


def test_where_memory_never_ran_out_there_is_no_better_way() -> None:
    assert not better_again(None, 1e9)


def test_each_time_that_it_fails_again_the_while_is_twice_as_long() -> None:
    now, trouble, whiles = 0.0, ran_out(None, 0.0), []
    for _ in range(12):
        # One picture may run out of memory at several steps: that is one failure.
        trouble = ran_out(ran_out(trouble, now), now)
        whiles.append(
            next(seconds for seconds in range(0, 10**9, 300) if better_again(trouble, now + seconds))
        )
        now += whiles[-1]
        trouble = tried_again(trouble, now)
        assert not better_again(trouble, now + 10**9), "it is tried once, not again and again"
        trouble = ran_out(trouble, now + 1.0)
        now += 1.0
    doubled = [SECONDS * min(LONGEST, 2**number) for number in range(12)]
    assert whiles == doubled


@given(st.integers(1, LONGEST), st.booleans())
def test_once_it_held_for_as_long_the_next_failure_is_a_first_one(times: int, by_pictures: bool) -> None:
    trouble = tried_again(Trouble(0.0, times=times), 100.0)
    assert ran_out(trouble, 101.0).times == min(LONGEST, 2 * times)
    later = 101.0 if by_pictures else 100.0 + SECONDS * times
    held = trouble.after(PICTURES * times) if by_pictures else trouble
    assert ran_out(held, later) == Trouble(later)


@pytest.fixture(scope="module")
def usual(models: Path) -> Iterator[Sdxl]:
    renderer = Sdxl(look(models / "base"), device="cpu")
    yield renderer
    renderer.close()


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor under its other name counts as a GPU: all that is done for one really happens."""

    def there(wanted: str) -> str:
        return "cpu" if wanted == "cpu" else "cpu:0"

    monkeypatch.setattr(opening, "device_for", there)
    monkeypatch.setattr(holding, "device_for", there)


class Cramped:
    """Says that memory ran out, as long as `fits` says no. It is asked each time that a UNet begins."""

    def __init__(self, renderer: Sdxl, fits: Callable[[int], bool]) -> None:
        self._renderer = renderer
        self._fits = fits
        self.seen: list[int] = []
        self._watched: list[Any] = []
        self.watch()

    def watch(self) -> None:
        unet = self._renderer._holding.model().pipelines.pipe.unet
        unet.register_forward_pre_hook(self)

    def __call__(self, _module: object, given: tuple[torch.Tensor, ...]) -> None:
        count = len(given[0]) // 2
        self.seen.append(count)
        if not self._fits(count):
            raise torch.OutOfMemoryError(NOT_ENOUGH)


def watch(hook: Any, told: Callable[[], None]) -> None:
    """Hears of it whenever a part is taken off the GPU."""
    rest = hook.init_hook

    def watched(module: Any) -> Any:
        told()
        return rest(module)

    hook.init_hook = watched


def one(renderer: Sdxl, **wanted: Any) -> Rendered:
    [made] = renderer.render([replace(WANTED, **wanted)], quiet)
    return made


def same(first: Rendered, second: Rendered) -> bool:
    """But for the last bit: weights that were moved lie otherwise in memory, and are added up in another order."""
    return apart(first.image, second.image) <= 1


def on_gpu(models: Path, **options: Any) -> Sdxl:
    return Sdxl(look(models / "base"), bits=32, **options)


def test_nothing_is_spared_where_there_is_enough(models: Path, usual: Sdxl, gpu: None) -> None:
    renderer = on_gpu(models)
    made = one(renderer)
    assert "spared" not in made.facts
    assert made.device == "cpu:0"
    assert same(made, one(usual))


def test_all_is_tried_in_order_and_the_picture_is_the_same(
    models: Path, usual: Sdxl, gpu: None, capsys: pytest.CaptureFixture[str]
) -> None:
    renderer = on_gpu(models)
    memory = Cramped(renderer, lambda _: False)
    told: list[tuple[int, int]] = []
    wanted = [replace(WANTED, seed=seed) for seed in range(2)]
    made = renderer.render(wanted, lambda *step: told.append(step[:2]))
    # Two together; one, in tiles, off the GPU between uses. The processor is another model, with memory enough; the
    # second of the two is there with the first.
    assert memory.seen == [2, 1, 1, 1]
    assert [picture.facts["spared"] for picture in made] == [
        ["halves", "tiles", "offload", "processor"],
        ["halves", "processor"],
    ]
    assert [picture.device for picture in made] == ["cpu", "cpu"]
    for picture, asked in zip(made, wanted, strict=True):
        assert same(picture, one(usual, seed=asked.seed))
    assert [step for step, _ in told] == sorted(step for step, _ in told)
    assert told[-1] == (2, 2)
    said = [line for line in capsys.readouterr().out.splitlines() if "picture_out_of_memory" in line]
    # Nobody else is there who could let go.
    alone = STEPS[1:]
    assert len(said) == len(alone)
    assert all(step in line.partition("next")[2] for line, step in zip(said, alone, strict=True)), said


def test_who_is_idle_beside_it_lets_go_before_anything_is_spared(
    models: Path, usual: Sdxl, gpu: None
) -> None:
    gone: list[str] = []
    broker = Broker()
    broker.takes_part("words", let_go=lambda: gone.append("words"), busy=lambda: False)
    broker.takes_part("pictures", let_go=lambda: None, busy=lambda: True)
    broker.holds("words", 5)
    renderer = on_gpu(models, memory=broker.share("pictures"))
    Cramped(renderer, lambda _count: bool(gone))
    made = one(renderer)
    assert gone == ["words"]
    assert made.facts["spared"] == ["swap"]
    assert same(made, one(usual))
    renderer.close()


def test_what_fits_once_weights_rest_stays_on_the_gpu(models: Path, gpu: None) -> None:
    renderer = on_gpu(models)
    pipelines = renderer._holding.model().pipelines
    memory = Cramped(renderer, lambda _: bool(pipelines.resting))
    made = one(renderer)
    assert memory.seen == [1, 1, 1, 1]
    assert made.facts["spared"] == ["tiles", "offload"]
    assert made.device == "cpu:0"
    assert one(renderer, seed=8).facts["spared"] == ["tiles", "offload"], "from now on"
    assert len(memory.seen) == 6, "at the first try"


class Clock:
    """Seconds that go on when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("by_pictures", [False, True])
def test_after_a_while_without_trouble_it_is_run_as_at_first(
    models: Path, usual: Sdxl, gpu: None, capsys: pytest.CaptureFixture[str], by_pictures: bool
) -> None:
    clock, full = Clock(), True
    renderer = on_gpu(models, now=clock)
    pipelines = renderer._holding.model().pipelines
    Cramped(renderer, lambda _: not full or bool(pipelines.resting))
    assert one(renderer).facts["spared"] == ["tiles", "offload"]
    full = False
    clock.now += SECONDS - 1
    made = one(renderer)
    assert made.facts["spared"] == ["tiles", "offload"], "not yet"
    if by_pictures:
        for _ in range(PICTURES // 4):
            made = renderer.render([replace(WANTED, seed=seed) for seed in range(4)], quiet)[0]
    else:
        clock.now += 1
    again = one(renderer)
    assert "spared" not in again.facts
    assert same(again, one(usual))
    assert renderer._holding.model().pipelines is not pipelines, "it is loaded anew, compiled parts and all"
    assert capsys.readouterr().out.count("picture_model_tried_as_at_first") == 1
    for _ in range(2):
        clock.now += 10 * SECONDS
        assert "spared" not in one(renderer).facts
    assert "tried_as_at_first" not in capsys.readouterr().out, "once is enough"


def test_what_fails_again_waits_twice_as_long(models: Path, gpu: None) -> None:
    clock = Clock()
    renderer = on_gpu(models, now=clock)

    def cramp() -> None:
        pipelines = renderer._holding.model().pipelines
        Cramped(renderer, lambda _: bool(pipelines.resting))

    cramp()
    for times in (1, 2, 4):
        assert one(renderer).facts["spared"] == ["tiles", "offload"]
        before = renderer._holding.model()
        clock.now += SECONDS * times - 1
        one(renderer)
        assert renderer._holding.model() is before
        clock.now += 1
        renderer._holding.back_to_better()
        assert renderer._holding.model() is not before
        assert not renderer._holding.model().spared
        cramp()
    renderer.close()
    assert renderer._holding._trouble is None


def test_a_card_that_is_small_from_the_start_has_no_better_way(models: Path, gpu: None) -> None:
    clock, full = Clock(), True
    renderer = on_gpu(models, vram=8, now=clock)
    Cramped(renderer, lambda _: not full)
    assert one(renderer).device == "cpu"
    full = False
    clock.now += SECONDS
    first = one(renderer)
    assert (first.device, first.facts["spared"]) == ("cpu:0", ["tiles", "offload"])
    before = renderer._holding.model()
    clock.now += 10 * SECONDS
    one(renderer)
    assert renderer._holding.model() is before, "it is not loaded again and again"


def test_weights_that_did_not_fit_are_tried_again_on_the_gpu(
    models: Path, gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers import DiffusionPipeline

    move, fail = DiffusionPipeline.to, [True, True]

    def to(self: Any, *where: Any, **options: Any) -> Any:
        if fail and fail.pop():
            raise torch.OutOfMemoryError(NOT_ENOUGH)
        return move(self, *where, **options)

    monkeypatch.setattr(DiffusionPipeline, "to", to)
    clock = Clock()
    renderer = on_gpu(models, now=clock)
    assert one(renderer).device == "cpu"
    clock.now += SECONDS - 1
    assert one(renderer).device == "cpu"
    clock.now += 1
    made = one(renderer)
    assert made.device == "cpu:0"
    assert "spared" not in made.facts


def test_one_picture_on_the_processor_does_not_keep_the_next_ones_there(models: Path, gpu: None) -> None:
    renderer = on_gpu(models)
    Cramped(renderer, lambda _: False)
    assert one(renderer).device == "cpu"
    made = one(renderer)
    assert made.device == "cpu:0"
    assert made.facts["spared"] == ["tiles", "offload"], "that it was short of memory is not forgotten"
    renderer.close()
    assert "spared" not in one(renderer).facts, "until it is opened anew"


def test_a_picture_that_fits_nowhere_ends_in_a_sentence_and_the_next_one_is_made(
    models: Path, usual: Sdxl, gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer = on_gpu(models)
    full = True
    memory = Cramped(renderer, lambda _: not full)
    opened = opening.open_pipelines

    def watched(*given: Any, **options: Any) -> Any:
        made = opened(*given, **options)
        made.pipe.unet.register_forward_pre_hook(memory)
        return made

    monkeypatch.setattr(holding, "open_pipelines", watched)
    with pytest.raises(
        RenderFailed, match=r"not enough memory for a picture of 64 × 64\. Ask for a smaller"
    ) as told:
        one(renderer)
    assert locale_of("de").says(told.value).startswith("Für ein Bild von 64 × 64 reicht der Speicher nicht.")
    assert memory.seen == [1, 1, 1, 1, 1], "as it is, tiles, offload, the processor, and tiles there"
    full = False
    assert same(one(renderer), one(usual))


def test_where_the_processor_has_no_room_either_it_ends_in_a_sentence(
    models: Path, usual: Sdxl, gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer = on_gpu(models)
    Cramped(renderer, lambda _: False)
    opened = opening.open_pipelines

    def cramped(*given: Any, **options: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(holding, "open_pipelines", cramped)
    with pytest.raises(RenderFailed, match="not enough memory for a picture of 64 × 64"):
        one(renderer)
    monkeypatch.setattr(holding, "open_pipelines", opened)
    assert same(one(renderer), one(usual))


@pytest.mark.parametrize(
    ("fail", "spared", "device"),
    [([True], ["offload"], "cpu:0"), ([True, True], ["processor"], "cpu"), ([True] * 3, None, "")],
)
def test_weights_that_do_not_fit_rest_or_run_on_the_processor(
    models: Path,
    usual: Sdxl,
    gpu: None,
    monkeypatch: pytest.MonkeyPatch,
    fail: list[bool],
    spared: list[str] | None,
    device: str,
) -> None:
    from diffusers import DiffusionPipeline

    move = DiffusionPipeline.to

    def to(self: Any, *where: Any, **options: Any) -> Any:
        if fail and fail.pop():
            raise torch.OutOfMemoryError(NOT_ENOUGH)
        return move(self, *where, **options)

    monkeypatch.setattr(DiffusionPipeline, "to", to)
    renderer = on_gpu(models)
    if spared is None:
        with pytest.raises(RenderFailed, match=r"base does not fit in memory\. Stop what else uses it"):
            one(renderer)
        assert one(renderer).image.size == (64, 64)
        return
    made = one(renderer)
    assert (made.facts["spared"], made.device) == (spared, device)
    assert same(made, one(usual))
    again = one(renderer)
    assert (again.facts["spared"], again.device) == (spared, device), "and is not loaded anew each time"


def test_words_that_do_not_fit_are_read_with_less_memory(models: Path, usual: Sdxl, gpu: None) -> None:
    renderer = on_gpu(models)
    pipelines = renderer._holding.model().pipelines

    def cramped(*_given: object) -> None:
        if not pipelines.resting:
            raise torch.OutOfMemoryError(NOT_ENOUGH)

    pipelines.pipe.text_encoder_2.register_forward_pre_hook(cramped)
    assert renderer.company([WANTED, WANTED]) == [0, 1]
    assert same(one(renderer), one(usual))


def test_a_vae_that_does_not_fit_works_in_tiles(models: Path) -> None:
    renderer = Sdxl(look(models / "base"), device="cpu")
    vae = renderer._holding.model().pipelines.pipe.vae

    def cramped(*_given: object) -> None:
        if not vae.use_tiling:
            raise RuntimeError(
                "DefaultCPUAllocator: can't allocate memory: you tried to allocate 17179869184 bytes."
            )

    vae.decoder.register_forward_pre_hook(cramped)
    assert one(renderer).facts["spared"] == ["tiles"]


@pytest.mark.parametrize("wanted", [{}, {"hires": True, "width": 128}, {"start": Image.new("RGB", (64, 64))}])
@pytest.mark.parametrize("refined", [False, True])
def test_a_model_that_rests_between_uses_paints_the_same(
    models: Path, gpu: None, wanted: dict[str, Any], refined: bool
) -> None:
    refiner = look(models / "refiner") if refined else None
    resting = Sdxl(look(models / "base"), refiner, bits=32, vram=8)
    tiled = Sdxl(look(models / "base"), refiner, device="cpu")
    tiled._holding.model().pipelines.spare()
    moved: list[str] = []
    pipelines = resting._holding.model().pipelines
    for name, part in (("unet", pipelines.pipe.unet), ("vae", pipelines.pipe.vae)):
        watch(part._hf_hook, partial(moved.append, name))
    for prompt in ("a dog", "a woman on a (bridge:1.3) with [fog], " * 12):
        made = one(resting, prompt=prompt, steps=8, **wanted)
        assert made.facts["spared"] == ["tiles", "offload"]
        assert same(made, one(tiled, prompt=prompt, steps=8, **wanted))
    assert {"unet", "vae"} <= set(moved)


@pytest.mark.parametrize(
    ("vram", "batch", "spared"),
    [(8, 1, ["tiles", "offload"]), (12, 2, ["tiles"]), (24, 4, None), (0, 4, None)],
)
def test_a_bound_on_the_memory_is_kept_from_the_start(
    models: Path, gpu: None, vram: float, batch: int, spared: list[str] | None
) -> None:
    renderer = on_gpu(models, vram=vram)
    wanted = [replace(WANTED, seed=seed) for seed in range(4)]
    made = renderer.render(wanted, quiet)
    assert {picture.facts["batch"] for picture in made} == {batch}
    assert {tuple(picture.facts.get("spared") or ()) for picture in made} == {tuple(spared or ())}
    assert renderer.company(wanted) == list(range(batch))


def test_a_bound_on_the_memory_of_a_gpu_is_none_for_the_processor(models: Path) -> None:
    made = one(Sdxl(look(models / "base"), device="cpu", vram=8))
    assert "spared" not in made.facts


def test_it_can_be_closed_whatever_it_holds(models: Path, gpu: None) -> None:
    renderer = on_gpu(models, vram=8)
    renderer.close()
    one(renderer, start=Image.new("RGB", (64, 64)))
    renderer.close()
    renderer.close()
    assert one(renderer).facts["spared"] == ["tiles", "offload"]


def test_parts_go_to_work_and_rest_and_warm_up_again_after_it() -> None:
    """By themselves, without a model around them: what is off the GPU goes back there with its next call."""
    parts = [torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)]
    asked = torch.ones(1, 2)
    known = [part(asked) for part in parts]
    resting = Resting(parts, "cpu:0")
    assert not resting
    resting.rest()  # nothing rests yet, and nothing is wrong with that
    resting.begin()
    resting.begin()
    assert resting
    moved: list[str] = []
    for number, part in enumerate(parts):
        watch(part._hf_hook, partial(moved.append, f"{number} rests"))
    for _ in range(2):
        moved.clear()
        assert torch.equal(parts[0](asked), known[0])
        resting.rest()
        assert moved == ["0 rests", "1 rests"]
        assert torch.equal(parts[1](asked), known[1]), "and works again as before"
    with resting.stripped():
        assert not resting
        assert not any(hasattr(part, "_hf_hook") for part in parts)
    assert resting
    assert torch.equal(parts[0](asked), known[0])
    resting.end()
    assert not resting


def test_what_rested_and_was_closed_is_warmed_again(models: Path, gpu: None) -> None:
    renderer = on_gpu(models, vram=8)
    first = one(renderer)
    assert not renderer.warm(), "there is nothing to make ready"
    renderer.close()
    assert renderer.warm(), "the weights are loaded while nobody waits"
    assert renderer._holding.model().pipelines.resting
    assert not renderer.warm()
    assert same(one(renderer), first)
    renderer.close()
