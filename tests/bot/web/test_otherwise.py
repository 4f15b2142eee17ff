"""A picture once more, but in another shape, style and number; and somebody's mistakes, told at their place."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from engine.wishes import COUNTS, GRAIN, SIDES, Shape, shaped
from tests.bot.web.orders import WHO, ended, made
from tests.bot.web.visitors import problem


@pytest.mark.parametrize("size", [(1024, 1024), (832, 1216), (64, 64), (2048, 64), (2048, 2048)])
@pytest.mark.parametrize("shape", Shape)
def test_another_shape_is_as_much_to_paint_where_that_can_be(shape: Shape, size: tuple[int, int]) -> None:
    width, height = shaped(shape, *size)
    assert width in SIDES
    assert height in SIDES
    assert (width % GRAIN, height % GRAIN) == (0, 0)
    wide, high = map(int, shape.split(":"))
    assert (width > height) == (wide > high)
    assert width / height == pytest.approx(wide / high, rel=0.1)
    # Where the sides end, the shape is kept, and not the size.
    if size not in ((64, 64), (2048, 2048)):
        assert width * height == pytest.approx(size[0] * size[1], rel=0.1)


@pytest.mark.usefixtures("at_work")
async def test_a_picture_is_made_again_in_another_shape_style_and_number(operator: httpx.AsyncClient) -> None:
    [first] = (await made(operator, width=128, height=128, style="noir"))["pictures"]
    about = (await operator.get(f"/api/v1/pictures/{first['id']}/about")).json()
    [wide] = [one for one in about["shapes"] if one["shape"] == "16:9"]

    async def again(status: int = 202, **changes: Any) -> httpx.Response:
        body = {"changes": changes, "key": repr(sorted(changes.items()))}
        answer = await operator.post(f"/api/v1/pictures/{first['id']}/again", json=body)
        assert answer.status_code == status, answer.text
        return answer

    job = await ended(operator, (await again(shape="16:9", count=4, style="poster")).json())
    assert len(job["pictures"]) == COUNTS[-1]
    for picture in job["pictures"]:
        assert (picture["width"], picture["height"]) == (wide["width"], wide["height"])
        assert (picture["style"], picture["parent_id"]) == ("poster", first["id"])
    assert job["request"]["prompt"] != first["prompt"]
    [sides] = (await ended(operator, (await again(width=96, height=64)).json()))["pictures"]
    assert (sides["width"], sides["height"], sides["prompt"]) == (96, 64, first["prompt"])
    problem(await again(400, shape="16:9", width=64), 400)
    problem(await again(400, count=5), 400)
    problem(await again(404, style="no such style"), 404)
    problem(await again(422, shape="7:1"), 422)


def pointers(answer: httpx.Response) -> list[str]:
    return [one["pointer"] for one in answer.json().get("errors", ())]


async def test_a_mistake_is_told_with_the_place_that_it_is_about(operator: httpx.AsyncClient) -> None:
    told = (await operator.get(f"/api/v1/personas/{WHO}/page")).json()

    async def edited(**changes: Any) -> httpx.Response:
        body = {"persona": told["persona"] | changes, "revision": told["revision"]}
        return await operator.put(f"/api/v1/personas/{WHO}", json=body)

    taste = told["persona"]["picture"]
    wrong = await edited(name="", picture=taste | {"palette": ["#123456", "red"], "loras": {"a/b": 3}})
    problem(wrong, 422)
    assert pointers(wrong)[:2] == ["/persona/name", "/persona/picture/palette/1"]
    assert all(one.startswith("/persona/picture/loras/a~1b") for one in pointers(wrong)[2:])
    lost = await edited(picture=taste | {"style": "no-such-style"})
    assert problem(lost, 404) == lost.json()["errors"][0]["detail"]
    assert pointers(lost) == ["/persona/picture/style"]
    assert "errors" not in (await operator.get("/api/v1/personas/nobody-at-all")).json()


async def test_all_that_the_editor_shows_is_kept_as_it_was_sent(operator: httpx.AsyncClient) -> None:
    told = (await operator.get(f"/api/v1/personas/{WHO}/page")).json()
    changes = {
        "sampling": told["persona"]["sampling"] | {"temperature": 1.2, "dry": 0.5, "xtc": 0.1, "top_k": None},
        "examples": ["{{user}}: Hello\n{{char}}: Well, well."],
        "lorebook": {
            "name": "The pier",
            "extensions": {"other": {"program": [1]}},
            "entries": [{"keys": ["pier"], "content": "It burned in 1987.", "from elsewhere": 7}],
        },
    }
    body = {"persona": told["persona"] | changes, "revision": told["revision"]}
    answer = await operator.put(f"/api/v1/personas/{WHO}", json=body)
    assert answer.status_code == 200, answer.text
    kept = (await operator.get(f"/api/v1/personas/{WHO}/page")).json()["persona"]
    assert kept["sampling"] == changes["sampling"]
    assert kept["examples"] == changes["examples"]
    assert kept["lorebook"]["extensions"] == {"other": {"program": [1]}}
    assert kept["lorebook"]["entries"][0]["from elsewhere"] == 7


async def test_the_loras_on_the_disk_are_told(operator: httpx.AsyncClient) -> None:
    assert (await operator.get("/api/v1/loras")).json() == {"items": []}


async def test_what_is_no_json_has_no_place_in_it(operator: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await operator.put(f"/api/v1/personas/{WHO}", content=b'{"persona": {', headers=headers)
    problem(answer, 422)
    assert pointers(answer) == []
