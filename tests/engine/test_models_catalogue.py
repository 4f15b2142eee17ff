"""The catalogue as it ships, what fits which machine, and what a machine is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.errors import BadRequest, NotFound
from engine.models import Entry, Fit, Kind, Machine, catalogue, fits, machine, recommended
from engine.models.entries import read

GB = 1_000_000_000
ENTRY = """
[tiny]
kind = "text"
title = "Tiny"
repo = "owner/tiny"
files = ["tiny.gguf"]
size = 1
licence = "MIT"
memory = 2
good_at = "nothing"
"""


def test_the_catalogue_has_something_of_every_kind_from_1b_to_70b() -> None:
    entries = catalogue().entries
    assert {entry.kind for entry in entries} == set(Kind)
    sizes = [entry.size for entry in entries if entry.kind is Kind.TEXT]
    assert min(sizes) < GB
    assert max(sizes) > 40 * GB
    assert sizes == sorted(sizes)


def test_every_entry_says_what_it_is_and_needs_more_memory_than_nothing() -> None:
    for entry in catalogue().entries:
        assert entry.title, entry.id
        assert entry.good_at, entry.id
        assert entry.licence, entry.id
        assert entry.files, entry.id
        assert entry.needs_memory > 0, entry.id
        if entry.kind is Kind.TEXT:
            assert entry.needs_memory > entry.size, entry.id


def test_what_is_offered_by_itself_needs_no_token() -> None:
    offered = [entry for entry in catalogue().entries if entry.offer]
    assert offered
    assert {entry.offer for entry in offered} <= {"gpu", "cpu", "any"}
    assert not any(entry.gated for entry in offered)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("memory = 2", ""), "lacks `memory`"),
        (('kind = "text"', 'kind = "sound"'), "no kind “sound”"),
        (("owner/tiny", "tiny"), "not owner/repository"),
        (("size = 1", "size = 1\nprice = 3"), "nobody knows: price"),
        (("[tiny]", '["../up"]'), "is not a model's table"),
    ],
)
def test_a_mistake_in_the_catalogue_is_named(change: tuple[str, str], says: str) -> None:
    assert read(ENTRY).get("TINY") is not None
    with pytest.raises(ValueError, match=says):
        read(ENTRY.replace(*change))


def test_a_name_that_is_nearly_right_is_answered_with_the_right_one() -> None:
    with pytest.raises(NotFound, match=r"Did you mean llama-3\.1-8b\?"):
        catalogue().wanted("llama3.1-8b")


def test_what_is_not_in_the_catalogue_goes_by_its_repository() -> None:
    entry = catalogue().wanted("Some-Body/Their.Model-GGUF:sub/Their_Model-Q4_K_M-00001-of-00002.gguf")
    assert (entry.id, entry.kind) == ("their-model-q4-k-m", Kind.TEXT)
    assert entry.reference == "Some-Body/Their.Model-GGUF:sub/Their_Model-Q4_K_M-00001-of-00002.gguf"
    assert catalogue().wanted("a/b").files == ()
    assert catalogue().wanted("a/b:c.safetensors").kind is Kind.PICTURE


@pytest.mark.parametrize(
    "reference", ["/etc/passwd", "../..", "a/../b", "a/b:../../c.gguf", "a/b:/c", "a/b/c", "a b/c"]
)
def test_a_reference_that_leaves_the_hub_is_not_understood(reference: str) -> None:
    with pytest.raises(BadRequest):
        catalogue().wanted(reference)


def entry(memory: float, kind: Kind = Kind.TEXT) -> Entry:
    return Entry("x", kind, "X", "a/b", ("x",), needs_memory=round(memory * GB))


def test_what_fits_on_the_gpu_goes_there_and_the_system_keeps_a_share_of_the_memory() -> None:
    assert fits(entry(8), Machine(4 * GB, 8 * GB)) is Fit.GPU
    assert fits(entry(8.1), Machine(4 * GB, 8 * GB)) is Fit.NO
    assert fits(entry(8), Machine(10 * GB)) is Fit.RAM
    assert fits(entry(8), Machine(9 * GB)) is Fit.NO


def test_pictures_on_a_processor_take_twice_as_much() -> None:
    assert fits(entry(8, Kind.PICTURE), Machine(16 * GB)) is Fit.NO
    assert fits(entry(8, Kind.PICTURE), Machine(20 * GB)) is Fit.RAM
    assert fits(entry(8, Kind.PICTURE), Machine(4 * GB, 8 * GB)) is Fit.GPU


@pytest.mark.parametrize(
    ("here", "set_"),
    [
        (Machine(1 * GB), []),
        (Machine(4 * GB), ["qwen2.5-1.5b"]),
        (Machine(8 * GB), ["llama-3.2-3b"]),
        (Machine(64 * GB), ["llama-3.2-3b", "sdxl-turbo"]),
        (Machine(32 * GB, 8 * GB), ["llama-3.1-8b", "sdxl-turbo"]),
        (Machine(32 * GB, 12 * GB), ["llama-3.2-3b", "sdxl-base"]),
        (Machine(32 * GB, 10 * GB), ["llama-3.2-3b", "sdxl-base"]),
        (Machine(64 * GB, 24 * GB), ["mistral-nemo-12b", "sdxl-base"]),
        (Machine(128 * GB, 80 * GB), ["llama-3.3-70b", "sdxl-base"]),
    ],
)
def test_the_set_that_is_offered_fits_the_machine_together(here: Machine, set_: list[str]) -> None:
    assert [entry.id for entry in recommended(here)] == set_


def test_this_machine_has_memory_and_a_disk(tmp_path: Path) -> None:
    here = machine()
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < here.ram_bytes <= whole
    assert here.disk_free(tmp_path / "not" / "there" / "yet") > 0
    assert bool(here.gpu_bytes) == bool(here.gpu_name)


@pytest.mark.parametrize(
    ("script", "memory", "name"),
    [
        ("echo '8192, NVIDIA Small'; echo '24576, NVIDIA Large'", 24_576 * 1024**2, "NVIDIA Large"),
        ("echo 'NVIDIA-SMI has failed'; exit 9", 0, ""),
        ("echo '[N/A], NVIDIA Odd'", 0, ""),
    ],
)
def test_the_driver_is_asked_for_the_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, memory: int, name: str
) -> None:
    driver = tmp_path / "nvidia-smi"
    driver.write_text(f"#!/bin/sh\n{script}\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    here = machine()
    assert (here.gpu_bytes, here.gpu_name) == (memory, name)
