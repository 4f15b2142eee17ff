"""The styles that ship, a person's own over them, and which of them a request asks for."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.language.picturing import _first_named, _setting_named
from engine.language.understudy import Understudy
from engine.styles import Style, called, detect, joined, load_poses, load_styles, named, negative_for

SHIPPED = (
    *("photorealistic", "cinematic", "film", "watercolour", "comic", "line-art", "poster", "retro"),
    *("oil", "pastel", "anime", "noir", "storybook", "studio", "street", "clay"),
)

STYLES = load_styles()


@pytest.mark.parametrize("slug", SHIPPED)
def test_each_style_that_ships_is_whole(slug: str) -> None:
    style = STYLES[slug]
    assert style.slug == slug
    assert style.name
    assert 8 <= len(style.words.split()) <= 18
    assert style.negative
    assert style.detect


def test_base_is_no_style_and_is_in_every_negative_prompt() -> None:
    assert "base" not in STYLES
    for style in STYLES.values():
        assert "watermark" in negative_for(style)
        assert "extra fingers" in negative_for(style)


@pytest.mark.parametrize(
    ("request_", "slug"),
    [
        ("a line drawing of you on the beach", "line-art"),
        ("you as a Comic-Book hero", "comic"),
        ("WATERCOLOR, please!", "watercolour"),
        ("film noir, in the rain", "noir"),
        ("black and white", "noir"),
        ("in the style of an oil painting", "oil"),
        ("a page from a children’s book", "storybook"),
        ("street style", "street"),
        ("style: clay", "clay"),
        ("a cinematic, anime-style fight", "anime"),
        ("old 35mm shot", "film"),
        ("a pencil sketch of you", "line-art"),
        ("you as a manga", "anime"),
        ("a candid shot in a crowd", "street"),
    ],
)
def test_a_style_named_in_the_request_is_found(request_: str, slug: str) -> None:
    assert detect(request_, STYLES, "photorealistic").slug == slug


@pytest.mark.parametrize(
    "request_",
    [
        "",
        "walking down the street",
        "dancing in the studio",
        "by an oil lamp",
        "comical",
        "animes",
        "sketchy alley",
        "beside a vintage car",
        "reading manga and comics",
        "making a sketch in the grass",
        "a candid talk",
        "🎨",
    ],
)
def test_words_that_only_look_like_a_style_leave_the_default(request_: str) -> None:
    assert detect(request_, STYLES, "pastel").slug == "pastel"


def test_the_longest_phrase_wins() -> None:
    styles = {
        "a": Style("a", "A", "w", detect=("drawing",)),
        "b": Style("b", "B", "w", detect=("line drawing",)),
    }
    assert detect("a drawing, no, a line drawing", styles, "a").slug == "b"
    assert detect("a drawing", styles, "b").slug == "a"


def test_an_unknown_default_falls_back() -> None:
    assert detect("hello", STYLES, "no-such-style").slug == "photorealistic"
    assert detect("hello", {}, "x").words == ""


@settings(max_examples=100, deadline=None)
@given(request_=st.text(st.characters(exclude_categories=()), max_size=200))
def test_any_request_has_a_style(request_: str) -> None:
    assert detect(request_, STYLES, "film") in STYLES.values()


def test_a_huge_request_is_read_quickly() -> None:
    assert detect("a " * 50_000, STYLES, "film").slug == "film"


def test_the_negative_prompt_holds_each_entry_once() -> None:
    style = Style("a", "A", "w", negative="text, blurry")
    assert negative_for(style, extra="Blurry, cats,, ", avoid="hats,\ncats") == "text, blurry, hats, cats"


def test_a_style_is_found_by_its_slug_or_name() -> None:
    assert named(STYLES, "Line Art") is STYLES["line-art"]
    assert named(STYLES, "OIL painting") is STYLES["oil"]
    assert named(STYLES, "no such thing") is None


def test_a_persons_own_file_goes_over_the_shipped_one(tmp_path: Path) -> None:
    own = tmp_path / "styles.toml"
    own.write_text(
        '[base]\nnegative = "hats"\n[comic]\nwords = "my own comic words"\n'
        '[lego]\nname = "Bricks"\nwords = "toy bricks"\ndetect = ["toy bricks"]\n',
        encoding="utf-8",
    )
    styles = load_styles(own)
    assert styles["comic"].words == "my own comic words"
    assert styles["comic"].name == STYLES["comic"].name
    assert detect("made of toy bricks", styles, "film").slug == "lego"
    assert negative_for(styles["lego"]) == "hats"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[mine]\nname = "Mine"\n', r"styles\.toml: \[mine\] lacks `words`"),
        ('[mine]\nname = " \u3000"\nwords = "w"\n', r"styles\.toml: \[mine\] lacks `name`"),
        ('[mine]\nname = "M"\nwords = "\\t"\n', r"styles\.toml: \[mine\] lacks `words`"),
        ("[mine]\nname = 3\n", r"styles\.toml: \[mine\] `name` must be text"),
        ('[mine]\nname = "M"\nwords = "w"\ndetect = "m"\n', r"\[mine\] `detect` must be a list"),
        ('[mine]\nname = "M"\nwords = "w"\ndetect = [1]\n', r"\[mine\] `detect` must be a list"),
        ('[mine]\nnam = "M"\n', r"\[mine\] has no key `nam`"),
        ('["My Style"]\nname = "M"\n', r"\[My Style\] is not a slug"),
        ('mine = "M"\n', r"`mine` must be a table"),
        ("[mine\n", r"styles\.toml is not valid TOML: .*line 1"),
        ("mine = " + "[" * 5_000, r"styles\.toml is nested too deeply"),
        ("mine = " + "9" * 5_000, r"styles\.toml .* holds too long a number"),
    ],
)
def test_a_mistake_is_named_with_file_and_key(tmp_path: Path, text: str, complaint: str) -> None:
    own = tmp_path / "styles.toml"
    own.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=complaint):
        load_styles(own)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gone\.toml cannot be read"):
        load_styles(tmp_path / "gone.toml")
    (tmp_path / "latin.toml").write_bytes(b'[a]\nname = "caf\xe9"\n')
    with pytest.raises(ValueError, match=r"latin\.toml is not UTF-8"):
        load_styles(tmp_path / "latin.toml")


# Poses


def test_the_house_has_twenty_poses_that_say_only_what_a_body_does() -> None:
    """A place, an hour, clothes or a face in them would quarrel with what the scene says."""
    poses, bank = load_poses(), Understudy()._pictures
    assert len(poses) >= 20
    assert len({pose.name for pose in poses}) == len({pose.description for pose in poses}) == len(poses)
    unwanted = {
        "garment": bank["unwanted"]["garments"],
        "unwanted": bank["unwanted"]["words"],
        "face": bank["looks"]["expressive"],
        **bank["times"],
        **bank["weathers"],
    }
    for pose in poses:
        assert 5 <= len(pose.description.split()) <= 15, pose.name
        assert _setting_named(pose.description, bank) == "", pose.name
        assert _first_named(pose.description, unwanted) == "", pose.name
        assert detect(pose.description, STYLES, "clay").slug == "clay", pose.name


def test_a_persons_own_poses_go_over_those_of_the_house(tmp_path: Path) -> None:
    own = tmp_path / "poses.toml"
    own.write_text(
        'Arms_Crossed = "arms folded,\\n  chin low"\n"at the helm" = "both hands on a wheel"\nwaving = ""\n',
        encoding="utf-8",
    )
    poses = {pose.name: pose.description for pose in load_poses(own)}
    house = {pose.name: pose.description for pose in load_poses()}
    assert poses.pop("Arms_Crossed") == "arms folded, chin low"
    assert poses.pop("at the helm") == "both hands on a wheel"
    del house["arms-crossed"], house["waving"]
    assert poses == house


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("mine = 3\n", r"poses\.toml: `mine` must be text: mine = "),
        ('[mine]\nwords = "w"\n', r"poses\.toml: `mine` must be text"),
        ('"--" = "w"\n', r"poses\.toml: `--` is no name"),
        (f'{"n" * 49} = "w"\n', r"is no name of 1 to 48 characters"),
        (f'mine = "{"w" * 201}"\n', r"`mine` is 201 characters long, and 200 is the most"),
        ("mine = [\n", r"poses\.toml is not valid TOML"),
    ],
)
def test_a_mistake_in_them_is_named_with_file_and_pose(tmp_path: Path, text: str, complaint: str) -> None:
    own = tmp_path / "poses.toml"
    own.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=complaint):
        load_poses(own)


def test_poses_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gone\.toml cannot be read"):
        load_poses(tmp_path / "gone.toml")
    (tmp_path / "latin.toml").write_bytes(b'a = "caf\xe9"\n')
    with pytest.raises(ValueError, match=r"latin\.toml is not UTF-8"):
        load_poses(tmp_path / "latin.toml")


@pytest.mark.parametrize("told", ["arms-crossed", "Arms crossed", " ARMS_CROSSED "])
def test_a_pose_is_found_however_its_name_is_written(told: str) -> None:
    found = called(told, load_poses())
    assert found is not None
    assert found.description.startswith("standing with arms crossed")


@pytest.mark.parametrize("told", ["", "-", "arms", "crossed arms"])
def test_other_words_are_no_name(told: str) -> None:
    assert called(told, load_poses()) is None


def test_words_of_several_sources_stand_in_a_prompt_once() -> None:
    assert joined("soft light, film", "", "Film,  muted  colours") == "soft light, film, muted colours"
