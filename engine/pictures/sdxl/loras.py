"""Puts LoRAs on a loaded pipeline and takes them off again, so that it is to the last bit what it was before.

Whatever fails leaves the pipeline wearing what it wore. It knows neither prompts nor jobs.
"""

from __future__ import annotations

import logging
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from engine.errors import BadRequest, GreenroomError
from engine.locales import say
from engine.pictures import Lora
from engine.pictures.sdxl import unpickling
from engine.pictures.sdxl.finding import CALLED, Found, Kind, fingerprint
from engine.pictures.sdxl.loras_found import FoundLora
from engine.pictures.sdxl.loras_named import Rack, sound
from engine.pictures.sdxl.pipelines import out_of_memory
from engine.pictures.sdxl.weight_files import PICKLES

log = structlog.get_logger(__name__)

#: So many stay loaded; the one that was not worn for the longest time goes first.
KEPT = 8
_PARTS = ("unet", "text_encoder", "text_encoder_2")


@dataclass(frozen=True)
class Worn:
    """What a pipeline wears now."""

    #: One for each LoRA: its name, its weight, the hash of its file, and what of it found no place in the model.
    facts: list[dict[str, Any]]
    #: The text encoders make other embeddings than at the time before: what is remembered of them is no longer true.
    words_changed: bool


@dataclass(frozen=True)
class _Loaded:
    adapter: str
    found: FoundLora
    hash: str
    #: Whether it changes a text encoder, and of how many layers this model has none.
    words: bool
    left_out: int


#: What is worn: adapters and their weights, in order.
_Outfit = tuple[tuple[_Loaded, float], ...]


class Loras:
    """The LoRAs of one loaded model. Pipelines that share its parts share these; one thread may use it."""

    def __init__(self, found: Callable[[], list[FoundLora]], kind: Kind) -> None:
        self._kind = kind
        self._rack = Rack(found, kind)
        #: The one worn last at the end.
        self._loaded: OrderedDict[FoundLora, _Loaded] = OrderedDict()
        self._outfit: _Outfit = ()
        self._count = 0
        #: The model that wears them: another one begins anew.
        self._model: Callable[[], Any] = lambda: None
        self._fusing = _Fusing()

    def check(self, wanted: Sequence[Lora]) -> None:
        """`BadRequest` says what is wrong with one of them; nothing is touched."""
        self._rack.check(wanted)

    def wear(self, pipe: Any, wanted: Sequence[Lora]) -> Worn:
        """Nothing but these from now on; `BadRequest` says what is wrong with one, and nothing has changed."""
        if self._model() is not pipe.unet:
            self._loaded.clear()
            self._outfit = ()
            self._fusing = _Fusing()
            self._model = weakref.ref(pipe.unet)
        chosen = [(self._rack.named(one.name), one.weight) for one in sound(wanted)]
        before = self._outfit
        try:
            going = {found for found, _ in chosen} | {one.found for one, _ in before}
            outfit: _Outfit = tuple((self._ready(pipe, found, going), weight) for found, weight in chosen)
            self._dress(pipe, outfit)
        except BaseException:
            self._dress(pipe, before, anew=True)
            raise
        self._make_room(pipe, {one.found for one, _ in outfit}, KEPT)
        return Worn([_facts(*one) for one in outfit], _words(before) != _words(outfit))

    @contextmanager
    def aside(self, pipe: Any) -> Iterator[None]:
        """Meanwhile the text encoders wear nothing: a refiner shares one of them, and is to be left alone."""
        encoders = [encoder for part in _PARTS[1:] if (encoder := getattr(pipe, part, None)) is not None]
        dressed = [one for one in encoders if getattr(one, "peft_config", None)] if self._outfit else []
        for one in dressed:
            one.disable_adapters()
        try:
            yield
        finally:
            for one in dressed:
                one.enable_adapters()

    def _ready(self, pipe: Any, found: FoundLora, going: set[FoundLora]) -> _Loaded:
        """Loaded once. `going` are those that must stay: what is worn now, and what is to be worn."""
        if found not in self._loaded:
            self._make_room(pipe, going, KEPT - 1)
            self._loaded[found] = self._load(pipe, found)
        self._loaded.move_to_end(found)
        return self._loaded[found]

    def _load(self, pipe: Any, found: FoundLora) -> _Loaded:
        self._count += 1
        # Not the name of the file: peft takes names apart, and looks for one within another.
        adapter = f"worn_{self._count:06}"
        try:
            with _quiet():
                _open(pipe, found, adapter)
            layers = {part: _layers(getattr(pipe, part, None), adapter) for part in _PARTS}
            count = sum(map(len, layers.values()))
            if not count:
                there = self._rack.there()
                raise BadRequest(say("pictures.lora.changes_nothing", name=found.name, there=there))
            if not all(_whole(layer, adapter) for some in layers.values() for layer in some):
                raise BadRequest(say("pictures.lora.broken", name=found.name, there=self._rack.there()))
            for part in (part for part, some in layers.items() if some):
                # What is new in it would leave numbers out at random, as in training.
                getattr(pipe, part).eval()
            words = bool(layers["text_encoder"] or layers["text_encoder_2"])
            log.info("lora_loaded", lora=found.name, layers=count)
            return _Loaded(adapter, found, _hash(found), words, found.layers - count)
        except BaseException as error:
            self._drop(pipe, adapter)
            if isinstance(error, GreenroomError) or not isinstance(error, Exception) or out_of_memory(error):
                raise
            log.warning("lora_not_loaded", lora=found.name, cause=str(error)[:500])
            kind, there = CALLED[self._kind], self._rack.there()
            raise BadRequest(say("pictures.lora.unfit", name=found.name, kind=kind, there=there)) from error

    def _make_room(self, pipe: Any, going: set[FoundLora], most: int) -> None:
        for found in [one for one in self._loaded if one not in going]:
            if len(self._loaded) <= most:
                break
            self._drop(pipe, self._loaded.pop(found).adapter)

    def _drop(self, pipe: Any, adapter: str) -> None:
        if not self._loaded:
            pipe.unload_lora_weights()
            return
        with _quiet():
            pipe.delete_adapters(adapter)

    def _dress(self, pipe: Any, outfit: _Outfit, *, anew: bool = False) -> None:
        if outfit == self._outfit and not anew:
            return
        self._fusing.fit(pipe.unet, fused=not outfit)
        if outfit:
            pipe.enable_lora()
            pipe.set_adapters([one.adapter for one, _ in outfit], [weight for _, weight in outfit])
        elif self._loaded:
            pipe.disable_lora()
        self._outfit = outfit


class _Fusing:
    """Where a UNet asks for three projections at once, it never looks at the layers that a LoRA changes."""

    def __init__(self) -> None:
        self._fused: dict[str, Any] = {}

    def fit(self, unet: Any, *, fused: bool) -> None:
        if fused and self._fused:
            unet.set_attn_processor(dict(self._fused))
            self._fused = {}
        elif not fused and any(
            type(one).__name__.startswith("Fused") for one in unet.attn_processors.values()
        ):
            self._fused = unet.attn_processors
            # A copy: what is handed over is emptied.
            unet.set_attn_processor(dict(unet.original_attn_processors))


def _open(pipe: Any, found: FoundLora, adapter: str) -> None:
    folder = str(found.path.parent)
    file = {"weight_name": found.path.name, "adapter_name": adapter, "local_files_only": True}
    held: Any = folder
    if found.path.suffix.casefold() in PICKLES:
        # What opens pickles is ours: to the libraries it is a dictionary.
        held, file = unpickling.weights(found.path), {"adapter_name": adapter}
    if found.form == "kohya":
        pipe.load_lora_weights(_evened(found, held), adapter_name=adapter)
    elif found.form == "plain":
        pipe.unet.load_lora_adapter(held, prefix=None, low_cpu_mem_usage=True, _pipeline=pipe, **file)
    else:
        pipe.load_lora_weights(held, **file)


def _evened(found: FoundLora, held: Any) -> dict[str, Any]:
    """The tensors with what each layer counts already in them: diffusers takes one number of these for all layers."""
    from safetensors.torch import load_file

    tensors: dict[str, Any] = held if isinstance(held, dict) else load_file(found.path)
    for name in [one for one in tensors if one.endswith(".alpha")]:
        layer = name.removesuffix(".alpha")
        up = f"{layer}.lora_up.weight"
        share = float(tensors.pop(name)) / tensors[f"{layer}.lora_down.weight"].shape[0]
        if share != 1.0:
            tensors[up] = tensors[up].float() * share
    return tensors


def _hash(found: FoundLora) -> str:
    # Of a single file nothing is asked but where it is; the kinds are those of models.
    return fingerprint(Found(found.path, "sdxl", found.name, "", ""))


def _facts(loaded: _Loaded, weight: float) -> dict[str, Any]:
    facts: dict[str, Any] = {"name": loaded.found.name, "weight": weight, "hash": loaded.hash}
    return facts | ({"left_out": loaded.left_out} if loaded.left_out else {})


def _words(outfit: _Outfit) -> list[tuple[str, float]]:
    """What of it the text encoders wear."""
    return [(one.adapter, weight) for one, weight in outfit if one.words]


def _layers(model: Any, adapter: str) -> list[Any]:
    modules = [] if model is None else model.modules()
    return [one for one in modules if adapter in getattr(one, "lora_A", ())]


def _whole(layer: Any, adapter: str) -> bool:
    return all(bool(half[adapter].weight.isfinite().all()) for half in (layer.lora_A, layer.lora_B))


@contextmanager
def _quiet() -> Iterator[None]:
    """What the libraries would say at a terminal is said here, in words, or is no news."""
    loggers = [logging.getLogger(name) for name in ("diffusers", "transformers")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
