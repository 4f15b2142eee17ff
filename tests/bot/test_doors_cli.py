"""`greenroom keys` and `greenroom password` as a person or a script meets them."""

from __future__ import annotations

import json

from bot import passwords
from bot.cli.doors import SCOPES
from engine.home import Home
from engine.settings import WebSettings
from engine.store.records import Scope
from tests.bot.command_line import Greenroom


def test_a_key_is_made_shown_once_listed_and_revoked(greenroom: Greenroom) -> None:
    assert "There are no keys" in greenroom("keys", "list").stdout
    made = greenroom("keys", "new", "tablet", "--scope", "chat", "--scope", "make", "--rate", "30")
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    assert key.startswith("grk_")
    assert len(key) > 40
    assert "chat, make, 30 requests a minute" in made.stderr
    assert key not in made.stderr
    listed = greenroom("keys", "list")
    assert listed.stdout.strip() == "1 tablet: chat, make; 30 a minute; never used"
    for path in (greenroom.home).rglob("*"):
        assert not path.is_file() or key.encode() not in path.read_bytes(), path
    assert "opens nothing any more" in greenroom("keys", "revoke", "tablet").stdout
    assert "revoked 20" in greenroom("keys", "list").stdout


def test_scripts_are_told_in_json(greenroom: Greenroom) -> None:
    made = greenroom.told("keys", "new", "1", "--scope", "manage")
    assert {name: made[name] for name in ("id", "name", "scopes", "rate", "used", "revoked")} == {
        "id": 1,
        "name": "1",
        "scopes": ["manage"],
        "rate": 60,
        "used": None,
        "revoked": None,
    }
    assert made["key"].startswith("grk_")
    second = greenroom.told("keys", "new", "two", "--scope", "read", "--rate", "0")
    assert greenroom.told("keys", "revoke", str(second["id"]))["name"] == "two"
    listed = greenroom.told("keys", "list")
    assert [bool(one["revoked"]) for one in listed] == [False, True]
    assert all("key" not in one for one in listed)
    revoked = listed[1]["revoked"]
    assert greenroom.told("keys", "revoke", "two")["revoked"] == revoked, "once is enough"


def test_what_makes_no_key_is_a_sentence_and_an_exit_code(greenroom: Greenroom) -> None:
    assert greenroom("keys", "new", "tablet").returncode == 2
    assert greenroom("keys", "new", "tablet", "--scope", "all").returncode == 2
    assert greenroom("keys", "new", "tablet", "--scope", "chat", "--rate", "-1").returncode == 2
    for name in ("", " ", "x" * 65, "a\nb", "a\x1b[31m"):
        assert greenroom("keys", "new", name, "--scope", "chat").returncode == 2, name
    assert greenroom("keys", "new", "tablet", "--scope", "chat").returncode == 0
    again = greenroom("keys", "new", "tablet", "--scope", "chat")
    assert (again.returncode, "is a key called tablet" in again.stderr) == (2, True)
    for wanted in ("other", "7", "9" * 30, ""):
        assert greenroom("keys", "revoke", wanted).returncode == 4, wanted


def test_the_scopes_that_can_be_said_are_those_that_there_are() -> None:
    assert tuple(Scope) == SCOPES


def test_a_password_is_set_from_a_pipe_and_taken_away(greenroom: Greenroom) -> None:
    home = Home(greenroom.home)
    set_ = greenroom("password", said="brass kettle\nand more\n")
    assert set_.returncode == 0, set_.stderr
    assert "brass" not in set_.stdout + set_.stderr
    assert passwords.fits(home, "brass kettle")
    assert not passwords.fits(home, "brass kettle\n")
    assert "Whoever sits at this machine" in greenroom("password", "--remove").stdout
    assert not passwords.is_set(home)
    assert "There was no password" in greenroom("password", "--remove").stdout


def test_a_password_that_is_too_short_changes_nothing(greenroom: Greenroom) -> None:
    greenroom("password", said="brass kettle\n")
    for word in ("", "short", "x" * 1_001):
        refused = greenroom("password", said=f"{word}\n")
        assert (refused.returncode, "8 to 1000" in refused.stderr) == (2, True), word[:10]
    assert passwords.fits(Home(greenroom.home), "brass kettle")


def test_taking_the_password_away_says_what_comes_of_it(greenroom: Greenroom) -> None:
    greenroom.home.mkdir()
    (greenroom.home / "greenroom.toml").write_text("[web]\nhost = '0.0.0.0'\n")
    greenroom("password", said="brass kettle\n")
    assert "starts no more" in greenroom("password", "--remove").stdout
    greenroom("password", said="brass kettle\n")
    greenroom("keys", "new", "tablet", "--scope", "chat")
    assert "Only a key" in greenroom("password", "--remove").stdout


def test_a_house_open_to_others_without_either_is_refused_with_the_way_out(greenroom: Greenroom) -> None:
    ended = greenroom("chat", said="hello\n", GREENROOM_WEB__HOST="0.0.0.0")
    assert ended.returncode == 3
    assert "greenroom password" in ended.stderr
    assert "greenroom keys new" in ended.stderr
    assert json.loads(greenroom("keys", "list", "--json").stdout) == []


def examined(greenroom: Greenroom, **environment: str) -> list[tuple[str, str, str]]:
    """What the doctor says of the doors and of the folder of feeds: what, in which state, and what mends it."""
    ended = greenroom("doctor", "--json", **{"GREENROOM_WEB__PORT": "8321"} | environment)
    told = [one for one in json.loads(ended.stdout)["findings"] if one["what"] in ("doors", "feeds")]
    assert ended.returncode == any(one["state"] == "broken" for one in told), ended
    return [(one["what"], one["state"], one["says"] + " -> " + one["mend"]) for one in told]


def test_the_doctor_says_to_whom_the_page_opens_and_by_what(greenroom: Greenroom) -> None:
    [(what, state, says)] = examined(greenroom)
    assert (what, state) == ("doors", "ok")
    assert "http://127.0.0.1:8321, without a password" in says
    others = {"GREENROOM_WEB__HOST": "0.0.0.0"}
    [(_, state, says)] = examined(greenroom, **others)
    assert (state, "greenroom password" in says) == ("broken", True)
    greenroom("keys", "new", "tablet", "--scope", "chat")
    [(_, state, says)] = examined(greenroom, **others)
    assert (state, "0.0.0.0, port 8321), for the key" in says) == ("ok", True)
    greenroom("password", said="brass kettle\n")
    assert "for the password or the key" in examined(greenroom, **others)[0][2]
    greenroom("keys", "revoke", "tablet")
    assert examined(greenroom, **others)[0][2].endswith("for the password -> ")
    (greenroom.home / "password").write_text("spoilt")
    [(_, state, says)] = examined(greenroom)
    assert (state, "nobody comes in" in says) == ("broken", True)


def test_the_doctor_misses_a_proxy_that_nobody_named(greenroom: Greenroom) -> None:
    greenroom("password", said="brass kettle\n")
    named = {"GREENROOM_WEB__ALLOWED_HOSTS": '["greenroom.example"]'}
    doors, proxy = examined(greenroom, **named)
    assert doors[1] == "ok"
    assert (proxy[1], "web.trusted_proxies" in proxy[2]) == ("warning", True)
    trusted = named | {"GREENROOM_WEB__TRUSTED_PROXIES": '["127.0.0.1"]'}
    assert [state for _, state, _ in examined(greenroom, **trusted)] == ["ok"]


def test_the_doctor_looks_for_the_folder_that_feeds_borrow_from(greenroom: Greenroom) -> None:
    named = {"GREENROOM_FEEDS__FOLDER": "borrowed"}
    _, (what, state, says) = examined(greenroom, **named)
    assert (what, state) == ("feeds", "warning")
    assert says.endswith(f"mkdir -p '{greenroom.home / 'borrowed'}'")
    (greenroom.home / "borrowed").mkdir(parents=True)
    assert [state for _, state, _ in examined(greenroom, **named)] == ["ok", "ok"]


def test_a_house_that_is_closed_is_found_where_it_will_be(greenroom: Greenroom) -> None:
    for host, found in (
        ("0.0.0.0", "http://127.0.0.1:9000"),
        ("::", "http://[::1]:9000"),
        ("::1", "http://[::1]:9000"),
    ):
        assert WebSettings(host=host, port=9000).address == found
