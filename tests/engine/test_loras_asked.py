"""Whoever names a LoRA hears at once whether it can be worn here, and not when it is their turn."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.engine import Engine
from engine.errors import BadRequest
from engine.imagining import Wish
from engine.language import Source
from engine.locales import locale_of
from engine.pictures import Lora
from engine.pictures.painting import loras_checked
from engine.pictures.sdxl.loras_found import FoundLora, find_loras
from engine.pictures.sdxl.loras_named import NAMED, Rack
from engine.remaking import by_hand, in_another_pose, reworded, same_but
from engine.settings import Settings
from engine.store import jobs, personas
from engine.store.records import PersonaRecord, Picture, PictureRequest
from engine.testing import FakeLanguage, ManualClock

LAYER = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k"
LONG = " ".join(["a woman in a red coat on a pier at dusk"] * 12)


def lora(folder: Path, name: str, width: int = 2048) -> Path:
    """The header of a LoRA, which tells for which model it is."""
    one = {"dtype": "F16", "data_offsets": [0, 2]}
    shapes = {f"{LAYER}.lora_down.weight": [4, width], f"{LAYER}.lora_up.weight": [320, 4]}
    return headed(
        folder / f"{name}.safetensors", {key: one | {"shape": shape} for key, shape in shapes.items()}
    )


def headed(path: Path, tensors: dict[str, Any]) -> Path:
    head = json.dumps(tensors).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(head).to_bytes(8, "little") + head + b"\0" * 8)
    return path


def model(home: Path) -> None:
    """A checkpoint of SDXL, as far as anybody looks who does not paint."""
    names = (
        "model.diffusion_model.input_blocks.0.0.weight",
        "first_stage_model.x",
        "conditioner.embedders.1.x",
    )
    one = {"dtype": "F16", "shape": [1, 4], "data_offsets": [0, 8]}
    headed(home / "models" / "picture" / "tiny.safetensors", dict.fromkeys(names, one))


@pytest.fixture
def house(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """With a model, and nothing in the folder that it is started in."""
    monkeypatch.chdir(tmp_path)
    model(settings.home)
    for name in ("film grain", "rain", "fog"):
        lora(settings.home / "models" / "lora", name)
    lora(settings.home / "models" / "lora", "old", width=768)
    (settings.home / "models" / "lora" / "risky.pt").write_bytes(b"\x80\x02N.")
    return settings


async def glenys(engine: Engine, **taste: Any) -> PersonaRecord:
    async with engine.database.read() as tx:
        record = await personas.find(tx, "glenys")
    picture = record.persona.picture.model_copy(update=taste)
    return replace(record, persona=record.persona.model_copy(update={"picture": picture}))


async def composed(engine: Engine, scene: str, **taste: Any) -> PictureRequest:
    return await engine.imagining.compose(await glenys(engine, **taste), Wish(scene))


def picture_of(asked: PictureRequest) -> Picture:
    kept = (
        "scene",
        "prompt",
        "negative",
        "style",
        "source",
        "word_count",
        "seed",
        "width",
        "height",
        "steps",
    )
    told: dict[str, Any] = {name: getattr(asked, name) for name in (*kept, "guidance", "rating")}
    told |= {"model": "tiny", "device": "cpu", "stand_in": False, "created_at": ManualClock().now()}
    return Picture(id=1, job_id=1, persona_id=1, number=1, file="", **told)


async def refused(house: Settings, scene: str, **taste: Any) -> BadRequest:
    language = FakeLanguage()
    async with Engine.open(house, models=[language]) as engine:
        with pytest.raises(BadRequest) as told:
            await composed(engine, scene, **taste)
        assert not language.asked, "before anybody writes"
        async with engine.database.read() as tx:
            assert await jobs.listing(tx) == []
    return told.value


async def test_one_that_is_not_there_is_told_with_those_that_are_the_nearest_first(house: Settings) -> None:
    told = await refused(house, "on a pier <lora:flim grian:0.8>")
    assert str(told) == "There is no LoRA “flim grian”. There: film grain, fog, rain."
    german = locale_of("de").says(told)
    assert german == "Ein LoRA „flim grian“ gibt es nicht. Es gibt: film grain, fog, rain."
    assert "There: rain, " in str(await refused(house, "on a pier <lora:reign>"))


@pytest.mark.parametrize(
    ("scene", "said", "german"),
    [
        (
            "<lora:old> a pier",
            "made for Stable Diffusion 1.5, and what paints here is SDXL",
            "hier malt SDXL",
        ),
        (
            "a pier <lora:rain:9>",
            r"^The LoRA “rain” cannot be given the weight 9\. It is one from -2 to 2",
            r"^Das LoRA „rain“ kann das Gewicht 9 nicht bekommen\. Es geht von -2 bis 2",
        ),
        ("a pier <lora:rain:-2.5>", "the weight -2.5", "das Gewicht -2.5"),
        ("<lora:risky> a pier", "^risky.pt is a pickle.*There: ", "^risky.pt ist ein Pickle.*Es gibt: "),
    ],
)
async def test_one_that_will_not_do_is_told_with_its_reason(
    house: Settings, scene: str, said: str, german: str
) -> None:
    told = await refused(house, scene)
    assert re.search(said, str(told))
    assert re.search(german, locale_of("de").says(told))
    assert str(house.home) not in str(told), "whoever asks need not know how folders are called"


async def test_those_that_are_there_are_asked_for_as_before(house: Settings) -> None:
    async with Engine.open(house, models=[FakeLanguage()]) as engine:
        request = await composed(engine, "on a pier <lora:Film Grain:0.8><lora:rain.safetensors>")
        assert request.loras == {"Film Grain": 0.8, "rain.safetensors": 1.0}
        assert (await composed(engine, "a pier <lora:nobody:0>")).loras == {}, "it would change nothing"
        lora(house.home / "models" / "lora", "late")
        assert (await composed(engine, "a pier <lora:late>")).loras == {"late": 1.0}
        (house.home / "models" / "lora" / "late.safetensors").unlink()
        with pytest.raises(BadRequest, match="no LoRA “late”"):
            await composed(engine, "a pier <lora:late>")


async def test_what_a_persona_always_wears_is_looked_for_too(house: Settings) -> None:
    async with Engine.open(house, models=[FakeLanguage()]) as engine:
        assert (await composed(engine, "a pier", loras={"rain": 0.5})).loras == {"rain": 0.5}
    assert "no LoRA “gone”" in str(await refused(house, "a pier", loras={"gone": 0.5}))


async def test_without_a_model_whoever_names_one_is_told_kindly_and_personas_go_on(
    house: Settings,
) -> None:
    (house.home / "models" / "picture" / "tiny.safetensors").unlink()
    told = await refused(house, "on a pier <lora:rain>")
    assert "No picture model is here just now" in str(told)
    assert "“rain”" in str(told)
    assert locale_of("de").says(told).startswith("Gerade ist kein Bildmodell hier")
    async with Engine.open(house, models=[FakeLanguage()]) as engine:
        request = await composed(engine, "on a pier", loras={"gone": 0.5})
        assert request.loras == {"gone": 0.5}, "a card is drawn, whatever they wear"


async def test_a_prompt_by_hand_is_told_too_and_keeps_what_it_names(house: Settings) -> None:
    async with Engine.open(house, models=[FakeLanguage()]) as engine:
        record = await glenys(engine)
        asked = await engine.imagining.compose(record, Wish("a pier <lora:fog:0.5>"))
        by = await reworded(
            engine.imagining, record, asked, f"{LONG}, <lora:Rain:0.7>, at night <lora:fog:1.2>"
        )
        assert by.source is Source.PERSON
        assert by.loras == {"fog": 1.2, "Rain": 0.7}
        assert by.prompt == f"{LONG}, at night"
        assert by.word_count == len(by.prompt.split())
        assert (await by_hand(engine.imagining, by, LONG)).loras == by.loras, "they are worn on"
        with pytest.raises(BadRequest, match="the weight 9"):
            await by_hand(engine.imagining, by, f"{LONG} <lora:Rain:9>")
        for words in (f"{LONG} <lora:nobody>", "short <lora:nobody>"):
            with pytest.raises(BadRequest, match="no LoRA “nobody”"):
                await reworded(engine.imagining, record, by, words)
        with pytest.raises(BadRequest, match="no LoRA “nobody”"):
            await same_but(engine.imagining, record, by, picture_of(by), "at noon <lora:nobody>")
        posed = await in_another_pose(engine.imagining, record, by)
        assert posed.loras == by.loras
        seven = " ".join(f"<lora:{name}>" for name in ("film grain", "a", "b", "c", "d", "e"))
        with pytest.raises(BadRequest, match="8 LoRAs are too many"):
            await reworded(engine.imagining, record, by, f"{LONG} {seven}")


def test_of_many_the_nearest_are_named_and_the_others_counted(tmp_path: Path) -> None:
    for number in range(NAMED + 3):
        lora(tmp_path / "models" / "lora", f"n{number:02}")
    lora(tmp_path / "models" / "lora", "watercolour")

    def found() -> list[FoundLora]:
        return find_loras(tmp_path, tmp_path / "none", unusable=True)

    with pytest.raises(BadRequest) as told:
        Rack(found, "sdxl").check([Lora("watercolor")])
    assert "There: watercolour, n00, n01, n02, n03, n04, n05, n06 and 4 more." in str(told.value)
    assert "n06 und 4 weitere." in locale_of("de").says(told.value)


def looked(found: Callable[[], list[FoundLora]]) -> tuple[Callable[[], list[FoundLora]], list[int]]:
    count: list[int] = []

    def counted() -> list[FoundLora]:
        count.append(1)
        return found()

    return counted, count


def test_the_disk_is_looked_at_only_for_what_is_not_known(tmp_path: Path) -> None:
    lora(tmp_path / "models" / "lora", "rain")
    found, count = looked(lambda: find_loras(tmp_path, tmp_path / "none"))
    rack = Rack(found, "sdxl")
    for _ in range(3):
        rack.check([Lora("rain")])
    assert len(count) == 1
    lora(tmp_path / "models" / "lora", "rain", width=768)
    with pytest.raises(BadRequest, match=r"made for Stable Diffusion 1\.5"):
        rack.check([Lora("rain")])
    assert len(count) == 2


def test_whether_it_can_be_worn_is_found_without_what_paints(house: Settings) -> None:
    loras_checked(house)([Lora("rain")], [Lora("rain")])
    asked = (
        "import sys; from pathlib import Path;"
        "from engine.pictures import Lora; from engine.settings import Settings;"
        "from engine.pictures.painting import loras_checked;"
        "loras_checked(Settings(home=Path(sys.argv[1])))([Lora('rain')], [Lora('rain')]);"
        "print([name for name in ('torch', 'diffusers', 'compel', 'transformers') if name in sys.modules])"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", asked, str(house.home)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    assert told.stdout.strip() == "[]"
