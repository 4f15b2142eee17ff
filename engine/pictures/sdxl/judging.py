"""Where a classifier runs that looks at finished pictures: which one lies on the disk, and what it says of each.

It is given pictures, never words, and knows neither persons nor jobs. Nothing here asks the network.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import structlog

from engine.errors import BadRequest, RenderFailed
from engine.models.finding import by_name, inside_of
from engine.pictures.sdxl.weight_files import PICKLES, header
from personas.persona import Rating

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

log = structlog.get_logger(__name__)

#: A classifier as transformers saves it, or the checker that came with the first Stable Diffusion.
Kind = Literal["classifier", "safety"]

#: The order, as a person is told it.
PLACES = "the home's models/checker/*/, then ./models/checker/*/"
#: From this likelihood on a picture is what it seems to be.
THRESHOLD = 0.5
#: So many are looked at together.
AT_ONCE = 8
#: Of labels that nobody knows, so many are told, each cut to so many characters.
_TOLD, _LONGEST = 8, 40
_SAFETY = "StableDiffusionSafetyChecker"
_SORTS = "ForImageClassification"
_SETTINGS = ("preprocessor_config.json", "processor_config.json")
_HARMLESS = """
    normal sfw safe neutral general drawing drawings animepicture notnsfw nonnsfw nonviolent nonviolence noviolence
    notviolent nogore
"""
_MATURE = "sexy sensual suggestive enticingorsensual sensitive violence violent blood"
_ADULT = """
    nsfw unsafe notsafe notsafeforwork porn pornography pornographic hentai explicit questionable nude nudity sex
    sexual erotic adult gore gory graphicviolence
"""
#: At which rating a picture may be shown that a model calls so. In small letters, and nothing but letters.
_KNOWN: dict[str, Rating] = (
    dict.fromkeys(_HARMLESS.split(), Rating.ALL_AGES)
    | dict.fromkeys(_MATURE.split(), Rating.MATURE)
    | dict.fromkeys(_ADULT.split(), Rating.ADULT)
)


@dataclass(frozen=True)
class FoundChecker:
    """A classifier on the disk: a folder of its own."""

    path: Path
    name: str
    kind: Kind
    #: A sentence that says where it was found.
    reason: str


@dataclass(frozen=True)
class CheckerChoice:
    """What looks at pictures, or nothing; `reason` is a sentence for a person either way."""

    found: FoundChecker | None
    reason: str
    #: Whether something lies there that will not do: whoever put it there takes the check for on.
    refused: bool = False


@dataclass(frozen=True)
class Verdict:
    """The lowest rating at which a picture may be shown, what the model calls it, and how likely it is that."""

    rating: Rating
    label: str
    likelihood: float


def find_checker(home: Path, here: Path) -> CheckerChoice:
    """The first that can be used: of the home, then of `here`; by name within one folder."""
    refused: dict[str, None] = {}
    for root, called in ((home, "the home's"), (here, "the current folder's")):
        for folder in sorted(inside_of(root / "models" / "checker"), key=by_name):
            try:
                found = look_at(folder, f"It is in {called} models/checker/{folder.name}.")
            except NotADirectoryError:
                continue
            except BadRequest as error:
                refused[str(error)] = None
            else:
                return CheckerChoice(found, f"{found.name} looks at each picture. {found.reason}")
    none = f"There is no picture checker here. Looked in {PLACES}."
    return CheckerChoice(None, " ".join([none, *refused]), refused=bool(refused))


def look_at(folder: Path, where: str = "") -> FoundChecker:
    """What lies there; `BadRequest` says what it is instead of a checker, and what to do. No weight is read."""
    try:
        told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except NotADirectoryError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise BadRequest(f"{folder} has no config.json that can be read. Fetch the model again.") from error
    made_for = told.get("architectures") if isinstance(told, dict) else None
    kinds = [str(kind) for kind in made_for] if isinstance(made_for, list) else []
    if _SAFETY in kinds and told.get("model_type") == "clip":
        kind: Kind = "safety"
    elif any(kind.endswith(_SORTS) for kind in kinds):
        kind = "classifier"
        _known_in(folder.name, _labels_of(told))
        if told.get("model_type") == "timm_wrapper" and find_spec("timm") is None:
            raise BadRequest(f"{folder} needs timm, which is not installed. Put another classifier there.")
    else:
        called = ", ".join(kinds)[: 2 * _LONGEST] or "nothing that it names"
        raise BadRequest(
            f"{folder} is made for {called}, and does not sort pictures. Put a classifier there."
        )
    names = [one.name.casefold() for one in inside_of(folder)]
    if not any(name.endswith(".safetensors") for name in names):
        pickled = " A pickle may run anything when it is opened: refused." if _pickled(names) else ""
        raise BadRequest(f"{folder} holds no .safetensors file.{pickled} Fetch the model as .safetensors.")
    if kind == "classifier" and not set(names) & set(_SETTINGS):
        raise BadRequest(f"{folder} lacks {_SETTINGS[0]}, which says how it looks. Fetch the model again.")
    return FoundChecker(folder, folder.name, kind, where)


def weighed(
    likelihoods: Mapping[str, float], threshold: float = THRESHOLD, *, exclusive: bool = True
) -> Verdict:
    """The verdict on a picture by how likely each label is. Labels that are not known do not count.

    Of `exclusive` labels one is right, so that they share what is certain; otherwise each is a question of its own.
    """
    known = {label: value for label, value in likelihoods.items() if _folded(label) in _KNOWN}
    harmless = {label: value for label, value in known.items() if not _rating(label).level}
    if exclusive and harmless and sum(known.values()) > 0:
        # What seemed to be something that is not known is shared out among the others.
        known = {label: value / sum(known.values()) for label, value in known.items()}
    together = sum if exclusive else max
    for rating in (Rating.ADULT, Rating.MATURE):
        there = {label: value for label, value in known.items() if _rating(label).level >= rating.level}
        likely = min(1.0, together(there.values())) if there else 0.0
        if there and likely >= threshold:
            return Verdict(rating, max(there, key=lambda label: there[label]), likely)
    # `likely` is by now how likely it is that the picture is anything but harmless.
    best = max(harmless, key=lambda label: harmless[label], default="")
    return Verdict(Rating.ALL_AGES, best, 1 - likely)


class Checker:
    """A loaded classifier. The weights are loaded when they are needed first; one thread may use it."""

    def __init__(self, found: FoundChecker, *, device: str = "cpu", threshold: float = THRESHOLD) -> None:
        self._found = found
        self._device = device
        self._threshold = threshold
        self._loaded: _Loaded | None = None

    @property
    def name(self) -> str:
        return self._found.name

    def open(self) -> None:
        """Loads the weights, where that was not done. `RenderFailed` says why it cannot be done."""
        self._ready()

    def verdicts(self, images: Sequence[Image]) -> list[Verdict]:
        """One for each picture: the worst of what is seen in any part of it."""
        loaded = self._ready()
        views = [(place, view) for place, one in enumerate(images) for view in loaded.views(one)]
        seen: dict[int, list[Verdict]] = {}
        for start in range(0, len(views), AT_ONCE):
            some = views[start : start + AT_ONCE]
            told = loaded.likelihoods([view for _, view in some])
            for (place, _), likelihoods in zip(some, told, strict=True):
                verdict = weighed(likelihoods, self._threshold, exclusive=loaded.exclusive)
                seen.setdefault(place, []).append(verdict)
        return [
            max(seen[place], key=lambda one: (one.rating.level, one.likelihood)) for place in sorted(seen)
        ]

    def close(self) -> None:
        self._loaded = None
        gc.collect()

    def _ready(self) -> _Loaded:
        if self._loaded is None:
            self._loaded = _opened(self._found, self._device)
            log.info("picture_checker_loaded", checker=self.name, device=self._device)
        return self._loaded


@dataclass(frozen=True)
class _Loaded:
    """A model with what prepares pictures for it."""

    name: str
    model: Any
    processor: Any
    #: By their places among the numbers that the model gives.
    labels: tuple[str, ...]
    exclusive: bool
    device: str

    def views(self, image: Image) -> list[Image]:
        """All of a picture: square by square for a model that would look at its middle only."""
        image = image.convert("RGB")
        side, length = min(image.size), max(image.size)
        crops = getattr(self.processor, "do_center_crop", None) or getattr(self.processor, "crop_pct", None)
        if not crops or side == length:
            return [image]
        count = -(-length // side)
        starts = [round((length - side) * number / (count - 1)) for number in range(count)]
        if image.width > image.height:
            return [image.crop((start, 0, start + side, side)) for start in starts]
        return [image.crop((0, start, side, start + side)) for start in starts]

    def likelihoods(self, views: Sequence[Image]) -> list[dict[str, float]]:
        """How likely each label is, for each picture."""
        import torch

        with torch.inference_mode():
            pixels = self.processor(images=list(views), return_tensors="pt")["pixel_values"].to(self.device)
            told = _concerns(self.model, pixels) if not self.labels else self.model(pixels).logits.float()
            if not bool(torch.isfinite(told).all()):
                # Any comparison with them is false, which would make the worst picture a harmless one.
                raise RenderFailed(f"{self.name} gives nothing but broken numbers. Fetch it again.")
            if not self.labels:
                return [{"nsfw": one, "safe": 1 - one} for one in told.tolist()]
            shares = told.softmax(-1) if self.exclusive else told.sigmoid()
        return [dict(zip(self.labels, row, strict=True)) for row in shares.tolist()]


def _concerns(model: Any, pixels: Tensor) -> Tensor:
    """1 for each picture that comes near one of the concepts that the safety checker was given, else 0.

    It is what its own `forward` computes. That one would also paint the pictures black, and take broken numbers for
    harmless ones.
    """
    from torch.nn.functional import normalize

    seen = normalize(model.visual_projection(model.vision_model(pixels)[1]))
    care = seen @ normalize(model.special_care_embeds).T - model.special_care_embeds_weights
    concepts = seen @ normalize(model.concept_embeds).T - model.concept_embeds_weights
    stricter = 0.01 * (care.round(decimals=3) > 0).any(1, keepdim=True).float()
    near = ((concepts + stricter).round(decimals=3) > 0).any(1).float()
    # What is broken stays so, in order to be noticed.
    told: Tensor = near + 0 * (care.sum(1) + concepts.sum(1))
    return told


def _opened(found: FoundChecker, device: str) -> _Loaded:
    from transformers.utils import logging as told_by_transformers

    quiet: Any = told_by_transformers
    quiet.disable_progress_bar()
    try:
        for file in inside_of(found.path):
            if file.suffix.casefold() == ".safetensors":
                header(file)
        model, processor, info = _safety(found) if found.kind == "safety" else _classifier(found)
        model.eval().to(device)
    except Exception as error:  # each of their libraries has errors of its own
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise RenderFailed(f"The picture checker {found.name} cannot be loaded: {lines[0]}") from error
    if missing := sorted(info["missing_keys"]):
        # They would be filled up with random numbers, and its verdicts be worth as much.
        raise RenderFailed(f"The picture checker {found.name} lacks weights ({missing[0]}). Fetch it again.")
    labels: tuple[str, ...] = ()
    exclusive = True
    if found.kind == "classifier":
        named = model.config.id2label
        labels = tuple(str(named.get(place, place)) for place in range(model.config.num_labels))
        exclusive = len(labels) > 1 and model.config.problem_type != "multi_label_classification"
        known = _known_in(found.name, labels)
        if unknown := [label[:_LONGEST] for label in labels if label not in known]:
            log.warning("picture_labels_unknown", checker=found.name, labels=unknown[:_TOLD])
    return _Loaded(found.name, model, processor, labels, exclusive, device)


def _classifier(found: FoundChecker) -> tuple[Any, Any, dict[str, Any]]:
    import transformers

    processors: Any = transformers.AutoImageProcessor
    models: Any = transformers.AutoModelForImageClassification
    # Code that comes with a model is never run; and nobody is asked at the terminal whether it may.
    model, info = models.from_pretrained(str(found.path), trust_remote_code=False, **_arguments(found))
    return model, _processor(processors, found), info


def _safety(found: FoundChecker) -> tuple[Any, Any, dict[str, Any]]:
    import transformers
    from diffusers.pipelines.stable_diffusion import safety_checker

    models: Any = safety_checker.StableDiffusionSafetyChecker
    processors: Any = transformers.CLIPImageProcessor
    model, info = models.from_pretrained(str(found.path), **_arguments(found))
    if any((found.path / name).is_file() for name in _SETTINGS):
        return model, _processor(transformers.AutoImageProcessor, found), info
    # As a part of a pipeline it has none of its own: those of CLIP are meant.
    side = model.config.vision_config.image_size
    return model, processors(size={"shortest_edge": side}, crop_size=side), info


def _processor(processors: Any, found: FoundChecker) -> Any:
    return processors.from_pretrained(str(found.path), local_files_only=True, trust_remote_code=False)


def _arguments(found: FoundChecker) -> dict[str, Any]:
    import torch

    names = [one.name for one in found.path.glob("*.safetensors")]
    return {
        "local_files_only": True,
        "use_safetensors": True,
        "dtype": torch.float32,
        "output_loading_info": True,
        # Some folders hold the weights in 16 bit only, and call them so.
        "variant": "fp16" if names and all(".fp16" in name for name in names) else None,
    }


def _labels_of(config: Mapping[str, Any]) -> list[str]:
    named = config.get("id2label")
    return [str(label) for label in named.values()] if isinstance(named, dict) else []


def _known_in(name: str, labels: Iterable[str]) -> list[str]:
    """The labels that say something here. `BadRequest` where they could never keep a picture back."""
    labels = list(labels)
    known = [label for label in labels if _folded(label) in _KNOWN]
    if any(_rating(label).level for label in known):
        return known
    told = ", ".join(label[:_LONGEST] for label in labels[:_TOLD]) or "none"
    raise BadRequest(
        f"{name} sorts pictures by what nobody is kept from here ({told}). Put a classifier there that knows nsfw, "
        "porn, unsafe, gore or the like."
    )


def _rating(label: str) -> Rating:
    return _KNOWN[_folded(label)]


def _folded(label: str) -> str:
    return "".join(letter for letter in label.casefold() if letter.isalpha())


def _pickled(names: Iterable[str]) -> bool:
    return any(name.endswith(PICKLES) for name in names)
