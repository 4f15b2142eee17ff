"""Names of picture files: made and read alike, and a persona's picture found in the order that was promised."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.store import gallery, naming
from engine.store.files import StoredFiles

SLUGS = st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,8}){0,2}", fullmatch=True)


@given(slug=SLUGS, job=st.integers(1, 10**9), number=st.integers(1, 99), style=SLUGS)
def test_a_name_says_what_it_was_made_of(slug: str, job: int, number: int, style: str) -> None:
    key = naming.key_of(slug, f"{job}-{number}", style)
    assert naming.read(key, slug) == naming.Named(key, (job, number), style, older=False)
    assert naming.read(f"pictures/{slug}/{job}_{style}.jpg", slug) == naming.Named(
        f"pictures/{slug}/{job}_{style}.jpg", (job, 0), style, older=True
    )


@pytest.mark.parametrize(
    "key",
    [
        "",
        "ada",
        "pictures/ada",
        "pictures/ada/",
        "pictures/ada/notes.txt",
        "pictures/ada/12-1_ben_noir.png",
        "pictures/ada/12-1_ada_.png",
        "pictures/ada/12-1_ada.png",
        "pictures/ada/12-1_ada_noir.png.part",
        "pictures/ada/12-1_ada_noir.webp",
        "pictures/ada/x_ada_noir.png",
        "pictures/ada/12-_ada_noir.png",
        "pictures/ada/deep/12-1_ada_noir.png",
        "pictures/ada/12_.jpg",
        "pictures/ben/12-1_ada_noir.png",
        f"pictures/ada/{'9' * 5000}_ada_noir.png",
    ],
)
def test_what_is_none_of_ours_is_passed_over(key: str) -> None:
    assert naming.read(key, "ada") is None


KEYS = [
    "pictures/ada/9_noir.jpg",
    "pictures/ada/3_film.jpg",
    "pictures/ada/4-1_ada_film.png",
    "pictures/ada/12-1_ada_film.png",
    "pictures/ada/12-2_ada_film.png",
    "pictures/ada/7-1_ada_noir.png",
    "pictures/ada/99-1_ada_sketch.png",
    "pictures/ada/readme.txt",
]


def test_the_wanted_style_comes_first_then_the_default_then_older_files_and_the_newest_of_each() -> None:
    assert naming.candidates(KEYS, "ada", wanted="noir", default="film") == [
        "pictures/ada/7-1_ada_noir.png",
        "pictures/ada/12-2_ada_film.png",
        "pictures/ada/12-1_ada_film.png",
        "pictures/ada/4-1_ada_film.png",
        "pictures/ada/9_noir.jpg",
        "pictures/ada/3_film.jpg",
    ]
    assert naming.candidates(KEYS, "ada", wanted="", default="noir") == [
        "pictures/ada/7-1_ada_noir.png",
        "pictures/ada/9_noir.jpg",
    ]
    assert naming.candidates(KEYS, "ada", wanted="oil", default="gouache") == []


async def stored(*keys: str) -> StoredFiles:
    files = StoredFiles.in_memory()
    for key in keys:
        await files.put(key, key.encode())
    return files


async def test_a_persona_is_shown_by_the_best_that_is_there() -> None:
    files = await stored(*KEYS, "pictures/adam/99-1_adam_noir.png")
    order = naming.candidates(KEYS, "ada", wanted="noir", default="film")
    for key in order:
        found = await gallery.find_picture(files, "ada", wanted="noir", default="film")
        assert found == gallery.Found(key, key.encode())
        await files.delete(key)
    assert await gallery.find_picture(files, "ada", wanted="noir", default="film") is None


async def test_a_picture_that_is_deleted_while_it_is_looked_for_gives_way_to_the_next() -> None:
    class Leaky(StoredFiles):
        async def get(self, key: str) -> bytes:
            await self.delete("pictures/ada/7-1_ada_noir.png")
            return await super().get(key)

    files = Leaky((await stored(*KEYS))._store)
    found = await gallery.find_picture(files, "ada", wanted="noir", default="film")
    assert found is not None
    assert found.key == "pictures/ada/12-2_ada_film.png"


async def test_the_styles_of_a_persona_are_listed_the_older_files_too() -> None:
    files = await stored(*KEYS, "pictures/ada/1_gouache.jpg", "pictures/ben/1-1_ben_oil.png")
    assert await gallery.styles_of(files, "ada") == ["film", "gouache", "noir", "sketch"]
    assert await gallery.styles_of(files, "nobody") == []
