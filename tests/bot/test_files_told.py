"""Where pictures are kept: as the settings say it, and as the doctor finds it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.errors import SettingsError
from engine.settings import FileSettings
from engine.settings_file import read_settings
from tests.bot.command_line import Ended, Greenroom
from tests.servers.s3 import ACCESS_KEY, S3, SECRET, Fault
from tests.servers.s3.fixtures import s3_bucket, s3_server  # noqa: F401 - fixtures
from tests.surroundings import lay_bare


@pytest.fixture
def greenroom(greenroom: Greenroom) -> Greenroom:
    greenroom.home.mkdir()
    return greenroom


def keep_in(greenroom: Greenroom, s3: S3) -> None:
    """All but the secret stands in the file."""
    told = s3.settings()
    lines = [f"{name} = {json.dumps(value)}" for name, value in told.items() if name != "secret_key"]
    (greenroom.home / "greenroom.toml").write_text("\n".join(["[files]", *lines]))


def examined(greenroom: Greenroom, code: int) -> tuple[dict[str, str], Ended]:
    ended = greenroom("doctor", "--json", GREENROOM_FILES__SECRET_KEY=SECRET)
    assert ended.returncode == code, ended
    assert SECRET not in ended.stdout + ended.stderr
    found = {one["what"]: one for one in json.loads(ended.stdout)["findings"]}
    return found["files"], ended


def test_the_doctor_tries_the_folder_and_leaves_nothing_there(greenroom: Greenroom) -> None:
    ended = greenroom("doctor", "--json")
    found = {one["what"]: one for one in json.loads(ended.stdout)["findings"]}
    assert (found["files"]["state"], found["files"]["mend"]) == ("note", "greenroom up")
    files = greenroom.home / "files"
    files.mkdir()
    ended = greenroom("doctor", "--json")
    found = {one["what"]: one for one in json.loads(ended.stdout)["findings"]}
    assert found["files"]["state"] == "ok"
    assert str(files) in found["files"]["says"]
    assert list(files.iterdir()) == []


def test_the_doctor_tries_the_bucket_and_leaves_nothing_there(greenroom: Greenroom, s3: S3) -> None:
    keep_in(greenroom, s3)
    found, _ = examined(greenroom, 0)
    assert found["state"] == "ok"
    assert f"s3://{s3.bucket}/home/of/it" in found["says"]
    assert [asked.partition(" ")[0] for asked in s3.asked] == ["PUT", "GET", "GET", "DELETE"]
    assert s3.objects() == {}


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault(status=503), "does not answer now"),
        (Fault(status=403, code="SignatureDoesNotMatch"), "its secret is not the right one"),
        (Fault(status=400, code="ExpiredToken"), "has expired"),
        (Fault(status=301), "another region"),
        (Fault("DELETE", status=403, code="AccessDenied"), "read, write, list and delete"),
        (Fault("GET", "list-type", status=403, code="AccessDenied"), "read, write, list and delete"),
    ],
    ids=["away", "wrong secret", "expired", "elsewhere", "may not delete", "may not list"],
)
def test_the_doctor_says_what_is_wrong_with_the_bucket_and_where_to_mend_it(
    greenroom: Greenroom, s3: S3, fault: Fault, says: str
) -> None:
    keep_in(greenroom, s3)
    waiting = greenroom.home / "outgoing" / "kept" / "pictures"
    waiting.mkdir(parents=True)
    (waiting / "1.png").write_bytes(b"data")
    s3.give(fault)
    found, ended = examined(greenroom, 1)
    assert found["state"] == "broken"
    assert says in found["says"]
    assert "1 files wait in" in found["says"]
    assert "greenroom.toml" in found["mend"]
    assert "Traceback" not in ended.stdout + ended.stderr


def test_the_doctor_notices_what_waits_for_a_bucket_that_nobody_names_any_more(greenroom: Greenroom) -> None:
    waiting = greenroom.home / "outgoing" / "going" / "pictures"
    waiting.mkdir(parents=True)
    (waiting / "1.png").touch()
    (greenroom.home / "files").mkdir()
    ended = greenroom("doctor", "--json")
    found = {one["what"]: one for one in json.loads(ended.stdout)["findings"]}
    assert found["files"]["state"] == "warning"
    assert "a bucket that is not set" in found["files"]["says"]


def test_the_doctor_says_that_others_can_look_into_a_home_that_was_there_before(greenroom: Greenroom) -> None:
    for mode, state, mend in ((0o750, "warning", f"chmod 700 '{greenroom.home}'"), (0o700, "ok", "")):
        greenroom.home.chmod(mode)
        ended = greenroom("doctor", "--json")
        found = {one["what"]: one for one in json.loads(ended.stdout)["findings"]}
        assert (found["home"]["state"], found["home"]["mend"]) == (state, mend)
        assert greenroom.home.stat().st_mode & 0o777 == mode, "and changes nothing"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('store = "bucket"', "files.store: write it as s3://bucket or s3://bucket/folder"),
        ('store = "s3://Bucket"', "files.store: write it as s3://bucket or s3://bucket/folder"),
        ('store = "s3://bucket/a/../b"', "files.store: write it as s3://bucket or s3://bucket/folder"),
        ('endpoint = "127.0.0.1:9000"', "files.endpoint: write it as https://host"),
        (f'endpoint = "https://{SECRET}@host"', "files.endpoint: write it as https://host"),
        ('endpoint = "http://[half"', "files.endpoint: write it as https://host"),
        ('public = "https://host/?a=b"', "files.public: write it as https://host"),
        ('region = "Frankfurt am Main"', "files.region: "),
        ("signed_for = 0", "files.signed_for: "),
        ("signed_for = 604801", "files.signed_for: "),
        ("patience = 0", "files.patience: "),
        (f'access_key = "AKIA\\n"\nsecret_key = "{SECRET}"', "files.access_key: write it in one word"),
        (f'access_key = "AKI\u00c4"\nsecret_key = "{SECRET}"', "files.access_key: write it in one word"),
        ('access_key = "name"', "files: access_key and secret_key belong together"),
        (f'secret_key = "{SECRET}"', "files: access_key and secret_key belong together"),
        ('bucket = "pictures"', "files.bucket: there is no such setting"),
    ],
)
def test_what_is_set_wrongly_is_told_with_its_line_and_without_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, told: str
) -> None:
    alone_with(tmp_path, monkeypatch, f"[files]\n{line}\n")
    with pytest.raises(SettingsError) as error:
        read_settings()
    assert told in str(error.value)
    assert "greenroom.toml, line " in str(error.value)
    assert SECRET not in str(error.value)


def test_the_secret_comes_from_the_environment_and_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone_with(tmp_path, monkeypatch, f'[files]\nstore = "s3://a.b/c/d/"\naccess_key = "{ACCESS_KEY}"\n')
    monkeypatch.setenv("GREENROOM_FILES__SECRET_KEY", SECRET)
    files = read_settings().files
    assert files.secret_key.get_secret_value() == SECRET
    assert SECRET not in f"{files} {files!r} {files.model_dump_json()}"
    assert (files.bucket, files.prefix) == ("a.b", "c/d")
    assert (FileSettings().bucket, FileSettings().prefix) == ("", "")


def alone_with(home: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    lay_bare(monkeypatch)
    monkeypatch.setenv("GREENROOM_HOME", str(home))
    (home / "greenroom.toml").write_text(text)
