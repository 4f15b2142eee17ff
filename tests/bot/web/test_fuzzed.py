"""The API is asked whatever its own document allows and forbids, and answers as that document says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from schemathesis import GenerationMode

from tests.bot.web.asking import Target, house_to_ask
from tests.bot.web.unfit import requests_of, send

#: Of each operation; the bench takes ten thousand of all, and other ones.
RIGHT, WRONG = 4, 3


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with house_to_ask(tmp_path_factory.mktemp("asked") / "home") as opened:
        yield opened


@pytest.fixture(autouse=True)
def nothing_found_yet(target: Target) -> None:
    target.faults.clear()
    target.statuses.clear()


def test_what_is_there_is_asked_for_and_found(target: Target) -> None:
    """Each route that names one thing answers for one that is there, at least once. First of all: later on some of it
    is gone.
    """
    found: dict[str, set[int]] = {}
    named = [one for one in target.operations() if one.method == "get" and one.path_parameters]
    for operation in named:
        before = target.statuses.copy()
        target.ask_many(operation, GenerationMode.POSITIVE, 6, seed=20_261_131, always_known=True)
        found[operation.path] = set(target.statuses - before)
    assert sorted(path for path, statuses in found.items() if not statuses & {200, 304}) == []
    assert {"/api/v1/feeds/{feed_id}", "/api/v1/pictures/{picture_id}"} <= set(found)
    assert [str(one) for one in target.faults] == []


def test_whatever_the_document_allows_is_answered_as_it_says(target: Target) -> None:
    for operation in target.operations():
        target.ask_many(operation, GenerationMode.POSITIVE, RIGHT, seed=20_261_128)
    assert target.asked > 200
    assert {200, 202, 404} <= set(target.statuses)
    assert [str(one) for one in target.faults] == []


def test_whatever_the_document_forbids_is_answered_as_it_says(target: Target) -> None:
    for operation in target.operations():
        target.ask_many(operation, GenerationMode.NEGATIVE, WRONG, seed=20_261_129)
    assert target.asked > 200
    assert 422 in target.statuses
    assert [str(one) for one in target.faults] == []


def test_whoever_shows_nothing_is_told_so_whatever_they_ask(target: Target) -> None:
    for operation in target.operations():
        target.ask_many(operation, GenerationMode.POSITIVE, 1, seed=20_261_130, callers=("nobody",))
    assert {401} <= set(target.statuses)
    assert [str(one) for one in target.faults] == []


def test_what_no_client_should_send_is_refused_as_the_document_says(target: Target) -> None:
    for operation, unfit in requests_of(target.document):
        send(target, operation, unfit)
    assert target.asked > 3_000
    assert [str(one) for one in target.faults] == []
