"""Holds the model: loads it when it is needed, in the memory that there is, and with less when that runs out.

What is made with it, it does not know.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import structlog

from engine.broker import Share
from engine.errors import PictureFailed, RenderFailed
from engine.locales import say
from engine.pictures.sdxl.finding import Found, fingerprint, weight_bytes
from engine.pictures.sdxl.loaded import Loaded
from engine.pictures.sdxl.loras import Loras
from engine.pictures.sdxl.opening import bound_memory, bound_threads, device_for, open_pipelines
from engine.pictures.sdxl.pipelines import out_of_memory
from engine.pictures.sdxl.sparing import (
    USUAL,
    Room,
    Step,
    Trouble,
    better_again,
    next_step,
    ran_out,
    room_for,
    tried_again,
)
from engine.pictures.sdxl.tuning import Tuning, tuning_for

log = structlog.get_logger(__name__)

#: Others are asked to let go at most this often, in seconds.
SWAP_AGAIN = 60.0

Outcome = TypeVar("Outcome")


class Holding:
    """At most one model, loaded once. One thread may use it."""

    def __init__(
        self,
        found: Found,
        refiner: Found | None,
        *,
        device: str,
        bits: int,
        vram: float,
        tuning: Tuning | None,
        loras: Loras | None,
        memory: Share | None = None,
        threads: int = 0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now = now
        self._threads = threads
        self._memory = memory
        self._swapped_at = float("-inf")
        self._found = found
        self._refiner = refiner
        self._device = device
        self._bits = bits
        self._vram = vram
        self._tuning = tuning
        self._loras = loras
        self._loaded: Loaded | None = None
        #: How the memory that there is was dealt with so far; None: nothing was loaded yet.
        self._room: Room | None = None
        #: Not even the weights fit on the GPU.
        self._too_large = False
        self._trouble: Trouble | None = None

    @property
    def is_loaded(self) -> bool:
        return self._loaded is not None

    def model(self) -> Loaded:
        """Loaded, if it was not: on the GPU, else there only while its parts work, else on the processor."""
        if self._loaded is not None:
            return self._loaded
        device = device_for(self._device)
        on_gpu = device != "cpu"
        if self._room is None:
            self._room = self._first_room
            if device == "cuda" and self._vram > 0:
                bound_memory(self._vram)
        shared = self._memory if on_gpu else None
        free = None
        if shared is not None:
            shared.make_room(
                weight_bytes(self._found) + (weight_bytes(self._refiner) if self._refiner else 0)
            )
            free = shared.free
        if not self._too_large:
            for offload in [False, True] if on_gpu and not self._room.offload else [on_gpu]:
                if (loaded := self._opened(device, offload=offload and on_gpu)) is not None:
                    self._room = replace(self._room, offload=offload)
                    if shared is not None:
                        shared.took(free)
                    return loaded
            self._too_large = on_gpu
        if self._too_large and (loaded := self._opened("cpu", fallen=True)) is not None:
            return loaded
        raise RenderFailed(say("pictures.no_room", model=self._found.name))

    def at_once(self, most: int) -> int:
        """So many pictures may share a pass, of the most that are wanted to."""
        return min(most, self._room.at_once or most) if self._room else most

    def back_to_better(self) -> None:
        """One picture that did not fit on the GPU is no reason to make the next ones on the processor; and what made
        do with less for a while without trouble is loaded anew, as at the first time.
        """
        now = self._now()
        if self._trouble is not None and better_again(self._trouble, now):
            self._trouble = tried_again(self._trouble, now)
            if self._makes_do:
                log.info("picture_model_tried_as_at_first", model=self._found.name)
                self._room, self._too_large = None, False
                self._put_away()
        if self._loaded is not None and self._loaded.fallen and not self._too_large:
            self._put_away()

    def made(self, pictures: int) -> None:
        """So many are finished."""
        if self._trouble is not None:
            self._trouble = self._trouble.after(pictures)

    def fitting(self, size: tuple[int, int], what: Callable[[], Outcome]) -> Outcome:
        """Does it, with less memory if need be. `size` is that of the picture that it is done for."""
        while True:
            try:
                return what()
            except Exception as error:
                if not out_of_memory(error):
                    raise
            self.spare(1, size)

    def spare(self, pictures: int, size: tuple[int, int]) -> Step:
        """Memory ran out over so many pictures: takes the next step. `RenderFailed` says that there is none left.

        But for the last one, steps stay taken for a while, see `back_to_better`. To be called where nothing holds on
        to the tensors of what failed.
        """
        pipelines = self.model().pipelines
        if pipelines.on_gpu and self._others_let_go():
            pipelines.let_go()
            log.warning("picture_out_of_memory", model=self._found.name, size=size, next="swap")
            return "swap"
        self._trouble = ran_out(self._trouble, self._now())
        tiles, offload = pipelines.spares, bool(pipelines.resting)
        step = next_step(pictures, tiles=tiles, offload=offload, on_gpu=pipelines.on_gpu)
        log.warning(
            "picture_out_of_memory", model=self._found.name, pictures=pictures, size=size, next=step or "none"
        )
        room = self._room or USUAL
        try:
            pipelines.let_go()
            if step == "tiles":
                pipelines.spare()
                self._room = replace(room, tiles=True)
            elif step == "offload":
                pipelines.offload()
                self._room = replace(room, offload=True)
        except Exception as error:
            if not out_of_memory(error):
                raise
            step = None
        del pipelines
        if step == "processor":
            self._put_away()
            step = step if self._opened("cpu", fallen=True) is not None else None
        if step is None:
            width, height = size
            raise PictureFailed(say("pictures.too_large", width=str(width), height=str(height)))
        return step

    def _others_let_go(self) -> bool:
        """Once in a while: whoever is asked for again comes back, and would be sent away at every step."""
        if self._memory is None or self._now() - self._swapped_at < SWAP_AGAIN:
            return False
        self._swapped_at = self._now()
        return self._memory.others_let_go()

    def rest(self) -> None:
        """Nothing is to be done for now."""
        if self._loaded is not None:
            self._loaded.pipelines.resting.rest()

    def close(self) -> None:
        self._room, self._too_large, self._trouble = None, False, None
        self._put_away()

    @property
    def _makes_do(self) -> bool:
        """It is run with less than at the first time."""
        return self._too_large or self._room not in (None, self._first_room)

    @property
    def _first_room(self) -> Room:
        return room_for(self._vram) if device_for(self._device) != "cpu" else USUAL

    def _put_away(self) -> None:
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            loaded.close()
            if self._memory is not None:
                self._memory.let_go()

    def _opened(self, device: str, *, offload: bool = False, fallen: bool = False) -> Loaded | None:
        """None: it does not fit."""
        if self._threads:
            bound_threads(self._threads)
        room = self._room or USUAL
        tuning = tuning_for(device) if self._tuning is None else self._tuning
        tuning = replace(tuning, fused=tuning.fused and room.fused, compiled=tuning.compiled and not offload)
        try:
            pipelines = open_pipelines(
                self._found, self._refiner, device, self._bits, tuning, offload=offload
            )
            if room.tiles and not fallen:
                pipelines.spare()
            loaded = Loaded(self._found.name, pipelines, fingerprint(self._found), self._loras, fallen=fallen)
        except Exception as error:
            if not out_of_memory(error):
                raise
            self._trouble = ran_out(self._trouble, self._now())
            log.warning("picture_model_too_large", model=self._found.name, device=device, offload=offload)
            return None
        log.info("picture_model_loaded", model=self._found.name, device=pipelines.device, offload=offload)
        self._loaded = loaded
        return loaded
