"""The picture model of this process as a Renderer: pictures that can share a forward pass do, none is delivered
broken, and what runs out of memory is tried with less. How a pass is run it does not know.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog

from engine.broker import Share
from engine.errors import BadRequest, GreenroomError, PictureFailed
from engine.locales import say
from engine.pictures import Looks, PictureWanted, Preview, Progress, Rendered
from engine.pictures.loras_told import settled
from engine.pictures.sdxl.finding import Found
from engine.pictures.sdxl.holding import Holding
from engine.pictures.sdxl.loaded import Loaded
from engine.pictures.sdxl.loras import Loras
from engine.pictures.sdxl.passes import Manner, Part, Pass, Way, together
from engine.pictures.sdxl.peak import Peak
from engine.pictures.sdxl.pipelines import Begun, out_of_memory
from engine.pictures.sdxl.recipes import HIRES_STRENGTH, first_size, recipe, strength_of, whole
from engine.pictures.sdxl.seeing import LEAST_LIKENESS, NOISE, as_image, flaw
from engine.pictures.sdxl.sparing import in_order
from engine.pictures.sdxl.starting import enlarged, fitted
from engine.pictures.sdxl.tuning import Tuning

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

log = structlog.get_logger(__name__)

#: So many pictures share a pass at most.
AT_ONCE = 4


class Sdxl:
    """SDXL, or Stable Diffusion 1.5 or 2.1. The weights are loaded when the first picture is wanted."""

    def __init__(
        self,
        found: Found,
        refiner: Found | None = None,
        *,
        device: str = "auto",
        bits: int = 0,
        scheduler: str = "",
        at_once: int = AT_ONCE,
        vram: float = 0,
        tuning: Tuning | None = None,
        loras: Loras | None = None,
        least_likeness: float = LEAST_LIKENESS,
        memory: Share | None = None,
        threads: int = 0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`memory`: its share of a GPU that others use, too. `vram`: GiB of it that may be taken; 0: all there are.
        `threads`: of the processor; 0 leaves that to torch. `tuning`: None is what suits the device. `now`: seconds
        that only go on.
        """
        self._found = found
        self._refiner = refiner
        self._scheduler = scheduler
        self._at_once = at_once
        #: Below it a picture is taken for noise.
        self._least_likeness = least_likeness
        self._holding = Holding(
            found,
            refiner,
            device=device,
            bits=bits,
            vram=vram,
            tuning=tuning,
            loras=loras,
            memory=memory,
            threads=threads,
            now=now,
        )

    @property
    def name(self) -> str:
        return self._found.name

    def company(self, wanted: Sequence[PictureWanted]) -> list[int]:
        """Asking loads the weights and reads the words, which rendering would do next anyway."""
        if len(wanted) < 2:
            return list(range(len(wanted)))
        size = (wanted[0].width, wanted[0].height)
        try:
            manners = self._holding.fitting(size, lambda: [self._manner_if_any(one) for one in wanted])
        except GreenroomError:
            return [0]  # whoever renders it hears what is wrong
        return together(manners, self._most)[0] if manners[0] is not None else [0]

    def render(self, wanted: Sequence[PictureWanted], progress: Progress) -> list[Rendered]:
        if not wanted:
            return []
        self._holding.back_to_better()
        pictures = [_with_its_start_fitted(one) for one in wanted]
        size = (wanted[0].width, wanted[0].height)
        manners = self._holding.fitting(size, lambda: [self._manner(one) for one in pictures])
        passes = [
            Pass(manners[places[0]], tuple(pictures[place] for place in places), tuple(places))
            for places in together(manners, self._most)
        ]
        steps = [sum(self._steps(one.manner)) for one in passes]
        parts = Way(progress, sum(steps)).part(0, sum(steps)).cut(steps)
        made: dict[int, Rendered] = {}
        try:
            for one, part in zip(passes, parts, strict=True):
                made |= zip(one.places, self._pass(one, part), strict=True)
        finally:
            self._holding.rest()
        self._holding.made(len(made))
        return [made[place] for place in range(len(wanted))]

    def warm(self) -> bool:
        """One thing that will be of use later: loads the weights, or compiles for the shape that was wanted most.
        False: there is nothing left to do.

        It is for the picture thread while nobody waits, may take a minute, and cannot be stopped. Where nobody calls
        it, everything runs uncompiled.
        """
        if not self._holding.is_loaded:
            self._holding.model()
            return True
        pipelines = self._holding.model().pipelines
        try:
            return pipelines.warm()
        except Exception as error:  # a compiler has many ways to fail, and a picture needs none of it
            log.warning("picture_model_not_compiled", model=self.name, cause=repr(error)[:500])
            pipelines.cool()
        pipelines.let_go()
        return False

    def close(self) -> None:
        self._holding.close()

    @property
    def _most(self) -> int:
        return self._holding.at_once(self._at_once)

    def _manner(self, one: PictureWanted) -> Manner:
        how = recipe(self._found, one.steps, one.guidance, one.scheduler or self._scheduler)
        strength = None if one.start is None else strength_of(one.strength)
        loaded = self._holding.model()
        first = None
        if one.hires and strength is None:
            first = first_size((one.width, one.height), loaded.pipelines.native)
        return Manner(
            recipe=how,
            size=(whole(one.width), whole(one.height)),
            first=first,
            strength=strength,
            loras=settled(one.loras),
            chunks=loaded.chunks(one, how.guided),
        )

    def _manner_if_any(self, one: PictureWanted) -> Manner | None:
        try:
            return self._manner(one)
        except BadRequest:
            return None

    def _steps(self, manner: Manner) -> list[int]:
        """Of each time that a picture goes through the model."""
        plan = self._holding.model().pipelines.plan
        return [1] if manner.kept else [plan(manner.recipe, leg).total for leg in manner.legs]

    def _pass(self, one: Pass, part: Part) -> list[Rendered]:
        try:
            return self._painted(one, part)
        except Exception as error:
            no_memory = out_of_memory(error)
            if not no_memory and (isinstance(error, GreenroomError) or not self._uncompiled(error)):
                raise
        # Out here nothing holds on to the tensors of the pass that failed.
        if not no_memory:
            return self._pass(one, part)
        step = self._holding.spare(len(one.wanted), one.manner.size)
        if step == "halves":
            pairs = zip(one.after(step).halves(), part.cut([1, 1]), strict=True)
            return [made for half, its_part in pairs for made in self._pass(half, its_part)]
        return self._pass(one.after(step), part)

    def _uncompiled(self, error: Exception) -> bool:
        """Whether compiled blocks may have been what failed: from now on there are none."""
        pipelines = self._holding.model().pipelines
        if not (pipelines.ran_compiled and pipelines.cool()):
            return False
        log.warning("picture_model_not_compiled", model=self.name, cause=repr(error)[:500])
        return True

    def _painted(self, one: Pass, part: Part) -> list[Rendered]:
        loaded = self._holding.model()
        device = loaded.pipelines.device
        peak = Peak(device)
        worn = loaded.wear(one.manner.loras)
        facts = self._facts(loaded, one, worn)
        starts = [picture.start for picture in one.wanted if picture.start is not None]
        if one.manner.kept:
            part(1, 1, one.seen(Looks({number: start.copy for number, start in enumerate(starts)})))
            images = starts
        else:
            images = self._legs(loaded, one, starts, part, facts)
        # It was one pass, whoever shared it.
        used = peak.facts()
        return [
            Rendered(image.crop((0, 0, picture.width, picture.height)), self.name, device, facts=its | used)
            for image, picture, its in zip(images, one.wanted, facts, strict=True)
        ]

    def _facts(self, loaded: Loaded, one: Pass, worn: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What there is to tell of each picture before it is made."""
        manner = one.manner
        facts: dict[str, Any] = {
            "sampler": manner.recipe.scheduler.name,
            "scheduler": manner.recipe.scheduler.kind,
            "steps": manner.recipe.steps,
            "guidance": manner.recipe.guidance,
            "batch": len(one.wanted),
            "model_hash": loaded.model_hash,
        }
        if manner.first is not None:
            facts["hires"] = {"from": list(manner.first), "strength": HIRES_STRENGTH}
        if manner.strength is not None:
            facts["start"] = {"strength": manner.strength}
        if self._refiner is not None:
            # A refiner was taught to end what a base began from noise.
            facts |= {"base_alone": True} if manner.strength is not None else {"refiner": self._refiner.name}
        if worn:
            facts["loras"] = worn
        if spared := one.spared | loaded.spared:
            facts["spared"] = in_order(spared)
        return [facts | {"receipt": loaded.receipt(wanted)} for wanted in one.wanted]

    def _legs(
        self, loaded: Loaded, one: Pass, starts: list[Image], part: Part, facts: list[dict[str, Any]]
    ) -> list[Image]:
        """Once through the model, or twice."""
        manner = one.manner
        seeds, images = [picture.seed for picture in one.wanted], starts
        for size, strength, its_part in zip(
            manner.sizes, manner.legs, part.cut(self._steps(manner)), strict=True
        ):
            begun = None
            if strength is not None:
                images = [enlarged(image, size) for image in images] if manner.first else images
                begun = Begun(tuple(images), strength)
            leg = _Leg(one, size, begun, its_part)
            images = []
            latents = _denoised(loaded, leg, seeds)
            for number, its in enumerate(facts):
                pixels, seeds[number] = self._sound(
                    loaded, leg.alone(number), latents[number], seeds[number], its
                )
                images.append(as_image(pixels))
                if loaded.pipelines.ran_compiled:
                    its["compiled"] = True
        return images

    def _sound(
        self, loaded: Loaded, alone: _Leg, latents: Tensor, seed: int, facts: dict[str, Any]
    ) -> tuple[Tensor, int]:
        """The pixels of a picture that is one, and the seed that it took: developed once more in 32 bit, and rendered
        once more, if need be.
        """
        pipelines = loaded.pipelines
        pixels = pipelines.develop(latents)
        first = wrong = flaw(latents, pixels, self._least_likeness)
        if not wrong:
            return pixels, seed
        log.warning("picture_flawed", model=self.name, flaw=wrong, seed=seed)
        pipelines.develop_wide()
        pixels = pipelines.develop(latents)
        facts["flawed_at_first"] = first
        if not (wrong := flaw(latents, pixels, self._least_likeness)):
            return pixels, seed
        # What is nothing but noise is so in wider numbers too; and those are for everybody from then on.
        if wrong != NOISE and pipelines.widen():
            loaded.forget_words()
        else:
            # The same numbers would make the same picture; this other seed is always the same one.
            seed = (seed + 2**31) % 2**32
        facts["seed_taken"] = seed
        [latents] = _denoised(loaded, alone, [seed])
        pixels = pipelines.develop(latents)
        if not (wrong := flaw(latents, pixels, self._least_likeness)):
            return pixels, seed
        what = say(f"pictures.flaw.{wrong.replace(' ', '-')}")
        raise PictureFailed(say("pictures.no_picture_but", model=self.name, flaw=what))


@dataclass(frozen=True)
class _Leg:
    """The pictures of a pass, one time through the model."""

    one: Pass
    size: tuple[int, int]
    begun: Begun | None
    part: Part

    def alone(self, number: int) -> _Leg:
        """One of them, done again after the others: no step of it is counted."""
        begun = self.begun and replace(self.begun, images=self.begun.images[number : number + 1])
        return replace(self, one=self.one.only(number), begun=begun, part=self.part.end())


def _denoised(loaded: Loaded, leg: _Leg, seeds: Sequence[int]) -> Tensor:
    how = leg.one.manner.recipe
    said = loaded.conditioned(leg.one.wanted, how.guided)

    def told(step: int, steps: int, preview: Preview) -> None:
        leg.part(step, steps, leg.one.seen(preview))

    return loaded.pipelines.denoise(how, said.words, said.refined, leg.size, seeds, told, leg.begun)


def _with_its_start_fitted(one: PictureWanted) -> PictureWanted:
    return one if one.start is None else replace(one, start=fitted(one.start, (one.width, one.height)))
