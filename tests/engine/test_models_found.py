"""Which models lie on a disk, and which one is taken: real files with a GGUF's first lines."""

from __future__ import annotations

from pathlib import Path

import gguf as library
import numpy as np
import pytest

from engine.models import Choice, Found, Machine, choose, find_text
from engine.models.gguf import is_writer
from tests.servers.hub.models import gguf

GB = 1_000_000_000
ROOMY = Machine(64 * GB)


def put(path: Path, data: bytes | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gguf() if data is None else data)
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "here"


def names(found: list[Found]) -> list[str]:
    return [model.name for model in found]


def test_models_are_found_in_the_documented_order_and_by_name_within_a_folder(home: Path, here: Path) -> None:
    put(here / "models" / "any" / "sixth.gguf")
    put(here / "models" / "text" / "one" / "fifth.gguf")
    put(home / "models" / "a-folder" / "fourth.gguf")
    put(home / "models" / "text" / "two" / "third.gguf")
    put(home / "models" / "text" / "one" / "second.gguf")
    put(home / "models" / "text" / "one" / "First.gguf")
    named = put(here / "elsewhere" / "zeroth.gguf")
    found = find_text(home, here, str(named))
    assert names(found) == ["zeroth", "First", "second", "third", "fourth", "fifth", "sixth"]
    assert found[0].where == "The settings name this path."
    assert found[1].where == "It is in the home's models/text/one."
    assert found[5].where == "It is in the current folder's models/text/one."


def test_a_path_may_be_relative_and_may_be_a_folder(home: Path, here: Path) -> None:
    put(here / "mine" / "b.gguf")
    put(here / "mine" / "a.gguf")
    assert names(find_text(home, here, "mine/b.gguf")) == ["b"]
    assert names(find_text(home, here, "mine")) == ["a", "b"]


def test_a_file_that_can_be_reached_twice_counts_once(home: Path) -> None:
    put(home / "models" / "text" / "one" / "model.gguf")
    (home / "models" / "text" / "two").symlink_to(home / "models" / "text" / "one")
    assert names(find_text(home, home)) == ["model"]


def test_what_only_looks_like_a_model_is_left_out(home: Path) -> None:
    folder = home / "models" / "text" / "one"
    put(folder / "model.gguf")
    put(folder / "mmproj-model.gguf")
    put(folder / "eyes.gguf", gguf(general_architecture="clip"))
    put(folder / "lora.gguf", gguf(general_type="adapter"))
    put(folder / "meaning.gguf", gguf(general_architecture="nomic-bert"))
    put(folder / "page.gguf", b"<html>404</html>")
    put(folder / "empty.gguf", b"")
    put(folder / "model.safetensors")
    put(folder / ".hidden.gguf")
    (folder / "folder.gguf").mkdir()
    (folder / "nowhere.gguf").symlink_to(folder / "gone.gguf")
    assert names(find_text(home, home)) == ["model"]


def test_loops_of_links_are_survived(home: Path) -> None:
    folder = home / "models" / "text" / "one"
    put(folder / "model.gguf")
    (folder / "loop.gguf").symlink_to(folder / "loop.gguf")
    (home / "models" / "text" / "round").symlink_to(home / "models" / "text" / "round")
    (home / "models" / "text" / "up").symlink_to(home / "models")
    assert names(find_text(home, home)) == ["model"]
    assert find_text(home, home, str(folder / "loop.gguf"))[0].name == "model"


def test_a_split_model_is_one_with_the_size_of_all_its_parts(home: Path) -> None:
    folder = home / "models" / "text" / "big"
    first = put(folder / "big-00001-of-00002.gguf", gguf(3_000))
    second = put(folder / "big-00002-of-00002.gguf", gguf(5_000))
    (found,) = find_text(home, home)
    assert (found.name, found.path, found.size) == ("big", first, 8_000)
    assert find_text(home, home, str(second))[0].path == first
    second.unlink()
    assert find_text(home, home) == []
    assert "big-00002-of-00002.gguf is missing" in choose([], str(first), ROOMY).reason


@pytest.mark.parametrize("cut", [0, 3, 4, 20, 24, 40, 90])
def test_a_file_that_ends_early_is_no_trouble(home: Path, cut: int) -> None:
    path = put(home / "models" / "text" / "one" / "model.gguf", gguf()[:cut])
    assert len(find_text(home, home)) == (cut >= 4)
    assert is_writer(path)


def test_files_of_the_real_library_are_told_apart(tmp_path: Path) -> None:
    """As llama.cpp's own converters write them, with a vocabulary among the facts."""
    told = {}
    for kind, architecture in (
        ("model", "llama"),
        ("adapter", "llama"),
        ("model", "bert"),
        ("mmproj", "clip"),
    ):
        path = tmp_path / f"{kind}-{architecture}.gguf"
        writer = library.GGUFWriter(path, architecture)
        writer.add_token_list([f"token {number}" for number in range(500)])
        writer.add_type(kind)
        writer.add_tensor("token_embd.weight", np.zeros((4, 4), dtype=np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        told[path.stem] = is_writer(path)
    assert told == {"model-llama": True, "adapter-llama": False, "model-bert": False, "mmproj-clip": False}


def sized(name: str, size: int) -> Found:
    return Found(Path(f"/models/text/{name}/{name}.gguf"), name, size, "It is there.")


def test_without_a_name_the_first_that_fits_is_taken() -> None:
    found = [sized("large", 40 * GB), sized("middle", 4 * GB), sized("small", 1 * GB)]
    choice = choose(found, "", Machine(16 * GB))
    assert choice.found == found[1]
    assert "the first that fits in memory" in choice.reason
    assert "fits in ram, slow" in choice.reason
    assert choose(found, "", Machine(16 * GB, gpu_bytes=80 * GB)).found == found[0]


def test_where_none_fits_the_smallest_is_taken_and_that_is_said() -> None:
    found = [sized("large", 40 * GB), sized("smaller", 20 * GB)]
    choice = choose(found, "", Machine(4 * GB))
    assert choice.found == found[1]
    assert "none fits in memory" in choice.reason
    assert "`greenroom models pull qwen2.5-1.5b`" in choice.reason


def test_where_there_is_none_the_reason_says_where_was_looked_and_what_to_do() -> None:
    choice = choose([], "", ROOMY)
    assert choice.found is None
    assert "the home's models/text/*/ and models/*/" in choice.reason
    assert "`greenroom models pull llama-3.2-3b` fetches one that fits." in choice.reason


@pytest.mark.parametrize(
    "named",
    ["Tiny-Q4", "tiny-q4.GGUF", "{path}", "{folder}", "my-own"],
)
def test_a_model_goes_by_path_stem_file_name_and_folder(home: Path, here: Path, named: str) -> None:
    put(home / "models" / "text" / "a" / "another.gguf")
    path = put(home / "models" / "text" / "my-own" / "tiny-q4.gguf")
    named = named.format(path=path, folder=path.parent)
    choice = choose(find_text(home, here, named), named, Machine(0))
    assert choice.found is not None
    assert choice.found.path == path
    assert "named in the settings" in choice.reason


def test_a_model_goes_by_its_name_in_the_catalogue(home: Path, here: Path) -> None:
    put(home / "models" / "text" / "another" / "another.gguf")
    pulled = put(home / "models" / "text" / "llama-3.2-1b" / "renamed.gguf")
    carried = put(here / "models" / "mine" / "Qwen3-4B-Q4_K_M.gguf")
    found = find_text(home, here)
    assert [choose(found, name, ROOMY).found for name in ("Llama-3.2-1B", "qwen3-4b")] == [
        next(model for model in found if model.path == path) for path in (pulled, carried)
    ]


def test_a_name_that_is_not_there_says_what_is_and_how_to_get_it(home: Path) -> None:
    put(home / "models" / "text" / "one" / "tiny.gguf")
    found = find_text(home, home)
    known, unknown = choose(found, "llama-3.1-8b", ROOMY), choose(found, "nothing", ROOMY)
    assert known.found is unknown.found is None
    assert "There: tiny. `greenroom models pull llama-3.1-8b` fetches it." in known.reason
    assert "`greenroom models list` shows what can be had." in unknown.reason


def test_a_named_path_that_is_no_model_says_why(home: Path) -> None:
    page = put(home / "page.gguf", b"<html>")
    lora = put(home / "lora.gguf", gguf(general_type="adapter"))
    told: list[Choice] = [
        choose(find_text(home, home, str(path)), str(path), ROOMY) for path in (page, lora, home)
    ]
    assert [choice.found for choice in told] == [None, None, None]
    assert "is not a GGUF file" in told[0].reason
    assert "an adapter of one" in told[1].reason
    assert "has no language model in it" in told[2].reason


@pytest.mark.parametrize("named", ["~nobody-of-that-name/x", "x" * 5_000, "a\0b", "../..", "."])
def test_odd_names_are_names_that_are_not_there(home: Path, tmp_path: Path, named: str) -> None:
    tmp_path.joinpath("empty").mkdir()
    assert choose(find_text(home, tmp_path / "empty", named), named, ROOMY).found is None
