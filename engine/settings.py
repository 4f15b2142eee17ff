"""What the operator decides, and what may be decided. How it is read, and a mistake told: see `settings_file.py`."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from engine.home import home_folder
from personas.persona import Rating

PREFIX = "GREENROOM_"

Names = tuple[Annotated[str, Field(pattern=r"^[a-z]+:\S+$")], ...]
Count = Annotated[int, Field(ge=1, le=1_000_000)]

_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9._-]{1,61}[a-z0-9](/[\w!.*'()-]+)*/?")
_ADDRESS = re.compile(r"https?://([\w.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?(/[^\s@?#]*)?")


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # also names of folders, and paths that lead outside
        return False
    return True


def _zone_that_is(name: str) -> str:
    if name and not _is_zone(name):
        raise PydanticCustomError("no_zone", "there is no such time zone; write it as Europe/Berlin or UTC")
    return name


def _machine_zone() -> str:
    """What this machine calls the zone that it stands in; empty where it does not say."""
    told = [os.environ.get("TZ", "").lstrip(":")]
    with suppress(OSError, ValueError):
        told.append(Path("/etc/timezone").read_text(encoding="ascii").strip())
    with suppress(OSError):
        told.append(str(Path("/etc/localtime").readlink()).rpartition("zoneinfo/")[2])
    return next((name for name in told if name and _is_zone(name)), "")


def _bucket_in_words(store: str) -> str:
    if store and (not _BUCKET.fullmatch(store) or {".", ".."} & set(store.split("/"))):
        raise PydanticCustomError("no_bucket", "write it as s3://bucket or s3://bucket/folder")
    return store


def _web_address(address: str) -> str:
    if address and not _ADDRESS.fullmatch(address):
        raise PydanticCustomError("no_address", "write it as https://host, with nothing of a key in it")
    return address


def _key_in_a_header(key: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]*", key):
        raise PydanticCustomError("no_key", "write it in one word, with nothing before or behind it")
    return key


_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?)\.?(?::([0-9]{1,5}))?", re.IGNORECASE)


def split_host(told: str) -> tuple[str, int | None]:
    """Name and port of what stands in an address or a Host header; an empty name where it is neither."""
    found = _HOST.fullmatch(told)
    if found is None:
        return "", None
    return found[1].strip("[]").lower(), int(found[2]) if found[2] else None


def is_loopback(name: str) -> bool:
    if name.lower() == "localhost":
        return True
    with suppress(ValueError):
        address = ip_address(name)
        inner = getattr(address, "ipv4_mapped", None)
        return bool((inner or address).is_loopback)
    return False


def address_here(host: str, port: int) -> str:
    """Where this machine finds who listens there. All addresses are none that could be called."""
    called = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, and not bound to
    return f"http://[{called}]:{port}" if ":" in called else f"http://{called}:{port}"


def _place_to_listen(host: str) -> str:
    with suppress(ValueError):
        return str(ip_address(host))
    if not split_host(host)[0] or ":" in host:
        raise PydanticCustomError("no_host", "write an address of this machine, as 127.0.0.1 or 0.0.0.0")
    return host.lower()


def _name_of_a_host(told: str) -> str:
    if not split_host(told)[0]:
        raise PydanticCustomError("no_host", "write it as greenroom.example, without https:// and path")
    return told.lower()


def _network(told: str) -> str:
    try:
        ip_network(told)
    except ValueError:
        raise PydanticCustomError("no_network", "write it as 127.0.0.1 or 10.0.0.0/8") from None
    return told


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoreSettings(Section):
    #: Empty: an SQLite file in the home. Else `postgresql://user:password@host/name`.
    database: SecretStr = SecretStr("")


class FileSettings(Section):
    """Where the bytes of pictures are kept."""

    #: Empty: a folder in the home. Else `s3://bucket` or `s3://bucket/folder`, of anything that speaks S3's language.
    store: Annotated[str, AfterValidator(_bucket_in_words)] = ""
    #: As `https://account.r2.cloudflarestorage.com`; empty: Amazon's, for the region.
    endpoint: Annotated[str, AfterValidator(_web_address)] = ""
    region: Annotated[str, Field(pattern=r"^[a-z0-9-]*$")] = ""
    #: Empty: what the environment or the machine in the cloud says, as for AWS's own programs.
    access_key: Annotated[str, Field(max_length=256), AfterValidator(_key_in_a_header)] = ""
    secret_key: SecretStr = SecretStr("")
    #: Under this address everybody sees the files; empty: nobody does without a signed link.
    public: Annotated[str, AfterValidator(_web_address)] = ""
    #: A signed link is good for so many seconds. No bucket signs for more than a week.
    signed_for: Annotated[int, Field(ge=1, le=604_800)] = 3_600
    #: So long a bucket may take for one file, or for a part of a large one, in seconds.
    patience: Annotated[float, Field(gt=0, le=600)] = 60.0

    @model_validator(mode="after")
    def _key_is_whole(self) -> Self:
        if bool(self.access_key) != bool(self.secret_key.get_secret_value()):
            raise PydanticCustomError("half_a_key", "access_key and secret_key belong together")
        return self

    @property
    def bucket(self) -> str:
        return self.store.removeprefix("s3://").partition("/")[0]

    @property
    def prefix(self) -> str:
        return self.store.removeprefix("s3://").partition("/")[2].strip("/")


class ChatSettings(Section):
    #: The persona that greets a new chat; empty: the first of the cast.
    persona: str = ""
    #: How many characters of the talk a persona is told.
    room: Annotated[int, Field(ge=1_000, le=1_000_000)] = 24_000


class LanguageSettings(Section):
    """Which language model writes, and how. A model goes by its path, its file's name, or the catalogue's name."""

    #: `off`: the understudy writes everything.
    models: Literal["auto", "off"] = "auto"
    #: For everything; empty: the best that is found.
    model: str = ""
    #: For one task alone.
    chat: str = ""
    prompts: str = ""
    casting: str = ""
    #: What turns texts into vectors, for programs that ask for them; empty: the first that is found.
    embeddings: str = ""
    #: What personas and single requests may name besides.
    allowed: tuple[str, ...] = ()
    #: 0: half of the processor's, and at least one.
    threads: Annotated[int, Field(ge=0, le=512)] = 0
    #: How much of the model lies on the GPU; -1: all of it.
    gpu_layers: Annotated[int, Field(ge=-1, le=1_000)] = -1
    #: How many tokens one talk may have, persona and reply included.
    context: Annotated[int, Field(ge=512, le=1_000_000)] = 8_192
    #: How many tokens all talks that are kept warm may have together; 0: four times `context`.
    memory: Annotated[int, Field(ge=0, le=16_000_000)] = 0
    #: In which numbers they are kept. `q8_0` takes half of the memory; `f32` twice as much, and on a processor no
    #: text depends on who else is written meanwhile.
    numbers: Literal["auto", "f32", "f16", "bf16", "q8_0"] = "auto"
    #: MB of the machine's memory for talks that nobody goes on with now; -1: an eighth of it.
    aside: Annotated[int, Field(ge=-1, le=4_000_000)] = -1
    #: So many tokens are read in one step.
    batch: Annotated[int, Field(ge=32, le=8_192)] = 512
    #: So many replies are written at once.
    rows: Annotated[int, Field(ge=1, le=64)] = 16
    #: A reply has at most so many tokens.
    reply_tokens: Annotated[int, Field(ge=16, le=8_192)] = 600
    #: In a child process: a crash of the native library costs a restart and no turn.
    isolate: bool = False
    #: A model that takes longer to load, or to begin, lets the understudy answer meanwhile. In seconds.
    patience: Annotated[float, Field(gt=0, le=3_600)] = 60.0
    temperature: Annotated[float, Field(ge=0, le=5)] = 0.8
    top_k: Annotated[int, Field(ge=0, le=1_000)] = 0
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    min_p: Annotated[float, Field(ge=0, le=1)] = 0.05
    repeat_penalty: Annotated[float, Field(ge=0.5, le=2)] = 1.05
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] = 0.0
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] = 0.0
    dry: Annotated[float, Field(ge=0, le=5)] = 0.8
    xtc: Annotated[float, Field(ge=0, le=1)] = 0.0
    xtc_threshold: Annotated[float, Field(ge=0, le=0.5)] = 0.1


class ServerSettings(Section):
    """Another server that writes, instead of a model in this process: anything that speaks OpenAI's language."""

    #: As `http://127.0.0.1:8080/v1`; empty: none.
    address: str = ""
    key: SecretStr = SecretStr("")
    #: What that server calls its model; empty: the first that it names.
    model: str = ""
    #: What that server calls its model that turns texts into vectors; empty: it has none.
    embeddings: str = ""
    #: Whether its model looks at pictures.
    sees: bool = False
    #: `first`: before a model of our own; `second`: only where ours cannot.
    turn: Literal["first", "second"] = "first"
    #: So long the first word may take, and a pause between words, in seconds.
    patience: Annotated[float, Field(gt=0, le=3_600)] = 60.0
    #: Times a request is made again, where nothing was said yet.
    tries: Annotated[int, Field(ge=1, le=10)] = 3


class PictureSettings(Section):
    #: `off`: the stand-in is drawn every time.
    models: Literal["auto", "off"] = "auto"
    #: By its path or its name; empty: the first that is found.
    model: str = ""
    #: `auto`: CUDA, else MPS, else the processor.
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    #: As `euler a` or `dpm++ 2m karras`; empty: the model's own.
    scheduler: str = ""
    #: Whether a refiner finishes what SDXL's base begins, where one is found.
    refiner: bool = True
    width: Annotated[int, Field(ge=64, le=2048, multiple_of=8)] = 1024
    height: Annotated[int, Field(ge=64, le=2048, multiple_of=8)] = 1024
    steps: Annotated[int, Field(ge=1, le=150)] = 20
    guidance: Annotated[float, Field(ge=0, le=30)] = 7.5
    #: GiB of the GPU's memory that pictures may take; 0: as much as there is.
    vram: Annotated[int, Field(ge=0, le=1_000)] = 0
    #: Where the processor paints or looks: so many of its threads; 0: half of them, and at least one.
    threads: Annotated[int, Field(ge=0, le=512)] = 0
    #: Whether a classifier looks at each picture, where one is found.
    check: Literal["auto", "off"] = "auto"
    #: Whether checkpoints and LoRAs may be pickles. Only weights are read of them, and nothing in them is run.
    pickles: bool = False
    #: A few words that go into every picture prompt of this house.
    direction: Annotated[str, Field(max_length=200)] = ""
    #: What an hour of the machine's time costs, so that each picture has its price; 0: it costs nothing.
    cost_per_hour: Annotated[float, Field(ge=0, le=1_000_000)] = 0.0
    #: What that is counted in, as EUR; told behind each sum.
    currency: Annotated[str, Field(pattern=r"^[^\W\d_]{0,8}$|^[€$£¥]$")] = ""
    #: Jobs in work at once: all but one may share a pass, while the pictures of that one are encoded and stored.
    concurrency: Annotated[int, Field(ge=1, le=16)] = 4


class LimitSettings(Section):
    message_length: Count = 8_000
    scene_length: Count = 1_000
    messages_per_minute: Count = 20
    pictures_per_day: Count = 200
    pictures_waiting: Count = 20
    #: Somebody may have so many written; the cast is everybody's.
    personas_per_day: Count = 5
    #: Fewer people at once keep their turn when too many speak in one place.
    place_messages_per_minute: Count = 120


class PostSettings(Section):
    #: Where schedules are read in whose place names no zone, as `Europe/Berlin`; empty: the machine's own.
    zone: Annotated[str, AfterValidator(_zone_that_is)] = ""

    @property
    def usual_zone(self) -> str:
        """By name; UTC where this machine does not say where it stands."""
        return self.zone or _machine_zone() or "UTC"


class FeedSettings(Section):
    """What places listen to: feeds, and hooks that others knock at."""

    #: Seconds between two looks at a feed that says nothing of it.
    every: Annotated[int, Field(ge=300, le=604_800)] = 1_800
    #: One feed brings so many posts an hour; what is beyond that is remembered, and not posted.
    per_hour: Annotated[int, Field(ge=1, le=60)] = 5
    #: Whether feeds may be fetched from private networks and from this machine itself.
    private: bool = False
    #: For so many seconds a post that somebody has to approve waits for that.
    approve_within: Annotated[int, Field(ge=60, le=86_400)] = 3_600
    #: A folder of pictures that stand in where none can be rendered, or where a feed says so; in the home, where it
    #: is named without the way to it. Empty: there is none.
    folder: str = ""
    #: Where others reach this house, as `https://host`, for hooks; empty: on this machine alone.
    address: Annotated[str, AfterValidator(_web_address)] = ""


class SafetySettings(Section):
    #: The most that any place may be switched to.
    rating: Rating = Rating.ALL_AGES
    #: Words and phrases that are refused in what people say and ask for.
    blocked_words: tuple[str, ...] = ()


class PeopleSettings(Section):
    """Who may. People are named `front:platform-id`, as `telegram:4711`; roles `discord:role:4711`."""

    #: They run this house: every command, in every chat.
    operators: Names = ()
    #: Whether they are told in their own chats what goes wrong: posts that fail, a full disk, a model that is down.
    alerts: bool = True
    #: Not empty: nobody else is answered.
    allowed: Names = ()
    blocked: Names = ()
    #: Chats, channels and servers: `telegram:-100815`, `discord:4711`. Not empty: nowhere else is anybody answered,
    #: but for private chats, where `allowed` decides.
    allowed_places: Names = ()
    blocked_places: Names = ()


class TelegramSettings(Section):
    #: What @BotFather gave you.
    token: SecretStr = SecretStr("")
    #: More bots, in the same house.
    more_tokens: tuple[SecretStr, ...] = ()
    #: A Bot API server of your own; empty: Telegram's.
    api: str = ""
    #: Empty: we ask Telegram for news. Else the https address at which Telegram reaches `listen`.
    webhook: str = ""
    #: Where we listen for Telegram's calls, behind your proxy.
    listen: Annotated[str, Field(pattern=r"^[\w.:\[\]-]+:\d{1,5}$")] = "127.0.0.1:8322"
    #: What Telegram has to show with each call; empty: one is made up at each start.
    webhook_secret: SecretStr = SecretStr("")


class DiscordSettings(Section):
    #: From the page Bot of your application at discord.com/developers.
    token: SecretStr = SecretStr("")
    more_tokens: tuple[SecretStr, ...] = ()
    #: How many connections share the servers; 0: as many as Discord advises.
    shards: Annotated[int, Field(ge=0, le=1_000)] = 0
    #: Another server that speaks Discord's language; empty: Discord's.
    api: str = ""


class WebSettings(Section):
    """The page and the API: where they listen, and under which names."""

    #: `0.0.0.0`, or an address of this machine, lets other machines in. It takes a password or a key.
    host: Annotated[str, AfterValidator(_place_to_listen)] = "127.0.0.1"
    #: 0 takes any free port.
    port: Annotated[int, Field(ge=0, le=65_535)] = 8321
    #: Names under which this house is reached besides, as `greenroom.example` or `greenroom.example:8443`.
    allowed_hosts: tuple[Annotated[str, AfterValidator(_name_of_a_host)], ...] = ()
    #: Whose word is taken on where a request comes from, and whether by https: `127.0.0.1`, `10.0.0.0/8`.
    trusted_proxies: tuple[Annotated[str, AfterValidator(_network)], ...] = ()
    #: Whether programs may be called back in private networks and on this machine itself.
    private_callbacks: bool = False

    @property
    def beyond_loopback(self) -> bool:
        """Whether others than this machine may reach it: by its address, or by a proxy that knows its name."""
        names = (self.host, *(split_host(name)[0] for name in self.allowed_hosts))
        return not all(is_loopback(name) for name in names)

    @property
    def address(self) -> str:
        """Where this machine itself finds it, unless another port had to be taken."""
        return address_here(self.host, self.port)


class LogSettings(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    megabytes: Annotated[int, Field(ge=1, le=1_000)] = 10
    files: Annotated[int, Field(ge=1, le=100)] = 5


class Settings(BaseSettings):
    """All sections. `read_settings` reads them, and words the mistakes."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, env_ignore_empty=True
    )

    home: Path = Field(default_factory=home_folder, exclude=True)
    store: StoreSettings = StoreSettings()
    files: FileSettings = FileSettings()
    chat: ChatSettings = ChatSettings()
    language: LanguageSettings = LanguageSettings()
    server: ServerSettings = ServerSettings()
    pictures: PictureSettings = PictureSettings()
    limits: LimitSettings = LimitSettings()
    posts: PostSettings = PostSettings()
    feeds: FeedSettings = FeedSettings()
    safety: SafetySettings = SafetySettings()
    people: PeopleSettings = PeopleSettings()
    telegram: TelegramSettings = TelegramSettings()
    discord: DiscordSettings = DiscordSettings()
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings

    @property
    def database_url(self) -> str:
        return self.store.database.get_secret_value() or f"sqlite:///{self.home / 'greenroom.db'}"
