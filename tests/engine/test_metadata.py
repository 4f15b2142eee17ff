"""What a PNG says of itself, and that it can be read back."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from engine.pictures import Lora, PictureWanted, Rendered
from engine.pictures.metadata import encode_png, plain_png
from personas.appearance import Scene
from personas.persona import Persona
from tests.engine.painted import told_by


def wanted(prompt: str = "a woman by a window", negative: str = "text, watermark") -> PictureWanted:
    persona = Persona(slug="iris", name="Íris")
    return PictureWanted(Scene(persona, "reading"), prompt, negative, 42, 64, 48, "film", 20, 7.5)


def made(*, stand_in: bool = False, model: str = "sdxl-base") -> Rendered:
    return Rendered(
        Image.new("RGB", (64, 48), (10, 20, 30)),
        model,
        "cpu",
        stand_in=stand_in,
        facts={"sampler": "Euler a"},
    )


def test_the_parameters_have_the_form_that_other_programs_read() -> None:
    lines = told_by(encode_png(made(), wanted()))["parameters"].split("\n")
    assert lines[0] == "a woman by a window"
    assert lines[1] == "Negative prompt: text, watermark"
    assert lines[2] == (
        "Steps: 20, Sampler: Euler a, CFG scale: 7.5, Seed: 42, Size: 64x48, Model: sdxl-base, Style: film"
    )


def test_what_else_made_it_stands_there_as_other_programs_write_it() -> None:
    facts = {"sampler": "Euler a", "model_hash": "0a1b2c", "hires": {"from": [512, 384], "strength": 0.35}}
    data = encode_png(replace(made(), facts=facts), replace(wanted(), loras=(Lora("grain", 0.8),)))
    prompt, _negative, last = told_by(data)["parameters"].split("\n")
    assert prompt == "a woman by a window <lora:grain:0.8>"
    assert "Model hash: 0a1b2c" in last
    assert "Hires resize: 64x48, First pass size: 512x384, Denoising strength: 0.35" in last
    begun = encode_png(replace(made(), facts={"start": {"strength": 0.55}}), wanted())
    assert "Denoising strength: 0.55" in told_by(begun)["parameters"]


def test_without_a_negative_prompt_there_is_no_line_for_it() -> None:
    lines = told_by(encode_png(made(), wanted(negative="")))["parameters"].split("\n")
    assert len(lines) == 2
    assert lines[1].startswith("Steps: 20, ")


def test_more_parameters_join_the_line_and_replace_their_namesakes() -> None:
    data = encode_png(made(), wanted(), parameters={"Steps": 30, "Clip skip": 2, "LoRA": "grain: 0.5, glow"})
    last = told_by(data)["parameters"].split("\n")[-1]
    assert last.startswith("Steps: 30, ")
    assert last.endswith('Clip skip: 2, LoRA: "grain: 0.5, glow"')


def test_a_picture_by_a_model_says_so() -> None:
    said = told_by(encode_png(made(), wanted()))
    assert said["Software"].startswith("Greenroom ")
    assert "AI" in said["Source"]
    assert (
        said["DigitalSourceType"] == "https://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    )


def test_a_stand_in_says_so() -> None:
    said = told_by(encode_png(made(stand_in=True, model="placeholder"), wanted()))
    assert "stand-in" in said["Source"]
    assert said["DigitalSourceType"].endswith("/algorithmicMedia")
    assert "Model: placeholder" in said["parameters"]


def test_the_picture_itself_is_unchanged() -> None:
    with Image.open(BytesIO(encode_png(made(), wanted()))) as image:
        assert image.format == "PNG"
        assert image.tobytes() == made().image.tobytes()


def test_a_picture_that_is_encoded_already_says_the_same_and_is_not_encoded_again() -> None:
    plain = replace(made(), facts={"sampler": "Ωμέγα"})
    encoded = replace(plain, image=Image.new("RGB", plain.image.size), png=plain_png(plain.image))
    data = encode_png(encoded, wanted("Ein Mädchen, 日本"))
    assert told_by(data) == told_by(encode_png(plain, wanted("Ein Mädchen, 日本")))
    with Image.open(BytesIO(data)) as picture:
        picture.verify()
    with Image.open(BytesIO(data)) as picture:
        assert picture.tobytes() == plain.image.tobytes()


def test_latin_text_is_a_plain_chunk_and_other_text_an_international_one() -> None:
    assert b"tEXtparameters" in encode_png(made(), wanted("café"))
    assert b"iTXtparameters" in encode_png(made(), wanted("кафе 😀"))


def test_lone_surrogates_and_nulls_do_not_stop_it() -> None:
    said = told_by(encode_png(made(), wanted("a \ud800 b \x00 c \ud83d\ude00")))
    assert said["parameters"].startswith("a \ufffd b  c 😀")


def test_a_huge_prompt_is_cut_and_not_refused() -> None:
    assert len(told_by(encode_png(made(), wanted("x" * 3_000_000)))["parameters"]) < 1_000_000


@settings(max_examples=60, deadline=None)
@given(prompt=st.text(st.characters(exclude_categories=()), max_size=200), value=st.text(max_size=50))
def test_any_prompt_is_written_and_read(prompt: str, value: str) -> None:
    said = told_by(encode_png(made(), wanted(prompt), parameters={"Note": value}))
    assert "Negative prompt: text, watermark" in said["parameters"]
