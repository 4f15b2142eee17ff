"""The tables, once. Migrations must arrive at exactly this; a test compares them."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMING)


class Moment(TypeDecorator[datetime]):
    """A moment in UTC. SQLite forgets zones: they come off on the way in and go on again on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _id() -> Column[int]:
    return Column("id", Integer, primary_key=True, autoincrement=True)


def _to(name: str, target: str, *, null: bool = True, gone: str = "SET NULL") -> Column[int]:
    return Column(name, Integer, ForeignKey(f"{target}.id", ondelete=gone), nullable=null)


def _created() -> Column[datetime]:
    return Column("created_at", Moment, nullable=False)


people = Table(
    "people",
    metadata,
    _id(),
    Column("name", Text, nullable=False, server_default=""),
    Column("language", String(16), nullable=False, server_default=""),
    #: They said so themselves: whatever a platform says of it no longer counts.
    Column("language_chosen", Boolean, nullable=False, server_default=false()),
    Column("adult_confirmed_at", Moment),
    _created(),
    sqlite_autoincrement=True,
)

accounts = Table(
    "accounts",
    metadata,
    _id(),
    _to("person_id", "people", null=False, gone="CASCADE"),
    Column("front", String(32), nullable=False),
    Column("platform_id", String(128), nullable=False),
    Column("name", Text, nullable=False, server_default=""),
    UniqueConstraint("front", "platform_id"),
    Index(None, "person_id"),
    sqlite_autoincrement=True,
)

personas = Table(
    "personas",
    metadata,
    _id(),
    Column("slug", String(48), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("origin", String(16), nullable=False),
    Column("kind", Text, nullable=False, server_default=""),
    Column("tags", JSON, nullable=False, server_default="[]"),
    #: Kept free of a foreign key: pictures point here already, and a circle cannot be created in one go.
    Column("face_picture_id", Integer),
    #: What the shipped cast file said when it was seeded: a newer file may replace an unedited persona.
    Column("seeded_hash", String(64), nullable=False, server_default=""),
    Column("deleted_at", Moment),
    _created(),
    sqlite_autoincrement=True,
)

persona_revisions = Table(
    "persona_revisions",
    metadata,
    _id(),
    _to("persona_id", "personas", null=False, gone="CASCADE"),
    Column("number", Integer, nullable=False),
    Column("card", JSON, nullable=False),
    Column("note", Text, nullable=False, server_default=""),
    _created(),
    UniqueConstraint("persona_id", "number"),
    sqlite_autoincrement=True,
)

chats = Table(
    "chats",
    metadata,
    _id(),
    Column("front", String(32), nullable=False),
    Column("account", String(128), nullable=False),
    Column("chat", String(128), nullable=False),
    Column("thread", String(128), nullable=False, server_default=""),
    _to("persona_id", "personas"),
    #: Where the talk stands: the last turn of the branch that is being followed.
    Column("head_turn_id", Integer),
    Column("rating", String(16), nullable=False, server_default="all-ages"),
    Column("ledger", JSON, nullable=False, server_default="{}"),
    Column("settings", JSON, nullable=False, server_default="{}"),
    #: Ids of the personas that are here beside the one of `persona_id`.
    Column("guests", JSON, nullable=False, server_default="[]"),
    Column("shared", Boolean, nullable=False, server_default=false()),
    Column("allows_mature", Boolean, nullable=False, server_default=true()),
    #: When we were shown the door, or blocked; null again when somebody speaks to us there.
    Column("left_at", Moment),
    _created(),
    UniqueConstraint("front", "account", "chat", "thread"),
    sqlite_autoincrement=True,
)

turns = Table(
    "turns",
    metadata,
    _id(),
    _to("chat_id", "chats", null=False, gone="CASCADE"),
    _to("parent_id", "turns"),
    _to("person_id", "people"),
    _to("persona_id", "personas"),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("source", String(16)),
    Column("dedup_key", String(300), unique=True),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("message", String(128), nullable=False, server_default=""),
    Column("answer_to", Text, nullable=False, server_default=""),
    Column("attachments", JSON, nullable=False, server_default="[]"),
    #: Ids of the personas that are to answer, in order; and whose words led to that, where a persona spoke.
    Column("wanted", JSON, nullable=False, server_default="[]"),
    Column("asked_by", Integer),
    _created(),
    Index(None, "parent_id"),
    Index(None, "chat_id", "created_at"),
    Index(None, "person_id", "created_at"),
    #: Only the few that still wait for an answer are in it: what a start looks for.
    Index(
        "ix_turns_open",
        "id",
        sqlite_where=text("state IN ('received', 'answering')"),
        postgresql_where=text("state IN ('received', 'answering')"),
    ),
    sqlite_autoincrement=True,
)

runs = Table(
    "runs",
    metadata,
    _id(),
    Column("key", String(128), nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("current", Boolean, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("style", String(64), nullable=False, server_default=""),
    Column("size", String(32), nullable=False, server_default=""),
    Column("cohort", Text, nullable=False, server_default=""),
    Column("prompt_name", String(64), nullable=False, server_default=""),
    Column("prompt_version", String(64), nullable=False, server_default=""),
    Column("notes", Text, nullable=False, server_default=""),
    Column("cost", Float, nullable=False, server_default="0"),
    #: What was ordered, so that the same command goes on where it stood.
    Column("options", JSON, nullable=False, server_default="{}"),
    Column("ended_at", Moment),
    _created(),
    UniqueConstraint("key", "version"),
    sqlite_autoincrement=True,
)

jobs = Table(
    "jobs",
    metadata,
    _id(),
    Column("state", String(16), nullable=False),
    Column("lane", String(16), nullable=False),
    #: Whose share of the machine this uses: a person's, a run's or a schedule's.
    Column("fair_owner", String(64), nullable=False),
    Column("fair_tag", Integer, nullable=False),
    Column("cost", Integer, nullable=False, server_default="1"),
    _to("person_id", "people"),
    _to("persona_id", "personas"),
    _to("chat_id", "chats"),
    _to("run_id", "runs"),
    _to("turn_id", "turns"),
    Column("parent_picture_id", Integer),
    Column("request", JSON, nullable=False),
    Column("dedup_key", String(300), unique=True),
    #: What was asked for under that key, in brief: see `once.py`.
    Column("told", String(64)),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("step", Integer, nullable=False, server_default="0"),
    Column("steps", Integer, nullable=False, server_default="0"),
    Column("error", Text, nullable=False, server_default=""),
    Column("deadline_at", Moment),
    Column("started_at", Moment),
    Column("ended_at", Moment),
    #: What whoever asked was told first, in seconds from then: `engine.estimating.Expected`.
    Column("promised_at", Moment),
    Column("likely", Float),
    Column("at_most", Float),
    #: The same before it was corrected by past errors.
    Column("guessed_likely", Float),
    Column("guessed_at_most", Float),
    _created(),
    Index(None, "lane", "fair_owner", "fair_tag"),
    Index(None, "state", "id"),
    Index(None, "person_id", "created_at"),
    Index(None, "turn_id"),
    Index(None, "chat_id"),
    Index(None, "run_id"),
    #: The highest tag that was ever started is the present virtual time.
    Index(
        "ix_jobs_started",
        "fair_tag",
        sqlite_where=text("started_at IS NOT NULL"),
        postgresql_where=text("started_at IS NOT NULL"),
    ),
    #: What became of promises is asked with every new one.
    Index(
        "ix_jobs_promised",
        "id",
        sqlite_where=text("state = 'done' AND promised_at IS NOT NULL"),
        postgresql_where=text("state = 'done' AND promised_at IS NOT NULL"),
    ),
    #: Who asks lately is looked for past all that a run makes meanwhile.
    Index(
        "ix_jobs_asked",
        "id",
        sqlite_where=text("lane = 'interactive'"),
        postgresql_where=text("lane = 'interactive'"),
    ),
    sqlite_autoincrement=True,
)

#: The embedded queue's own book: who stands in line and who holds what. Empty on PostgreSQL.
queue_entries = Table(
    "queue_entries",
    metadata,
    Column("job_id", Integer, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("rank", Integer, nullable=False),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("holder", String(64)),
    Column("heartbeat_at", Moment),
    #: When a pause ends; null, as for nearly all: at once, whatever the clock says.
    Column("available_at", Moment),
    Column("stop", Boolean, nullable=False),
    Index(None, "rank", "job_id"),
)

pictures = Table(
    "pictures",
    metadata,
    _id(),
    _to("job_id", "jobs", null=False, gone="CASCADE"),
    _to("persona_id", "personas"),
    _to("run_id", "runs"),
    _to("parent_id", "pictures"),
    Column("number", Integer, nullable=False),
    Column("file", Text, nullable=False),
    Column("scene", Text, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("negative", Text, nullable=False),
    Column("style", String(64), nullable=False),
    Column("source", String(16), nullable=False),
    Column("word_count", Integer, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("steps", Integer, nullable=False),
    Column("guidance", Float, nullable=False),
    Column("rating", String(16), nullable=False),
    Column("model", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("batch_size", Integer, nullable=False, server_default="1"),
    Column("seconds", Float, nullable=False, server_default="0"),
    Column("stand_in", Boolean, nullable=False),
    Column("score", Float),
    Column("cost", Float, nullable=False, server_default="0"),
    Column("facts", JSON, nullable=False, server_default="{}"),
    Column("deleted_at", Moment),
    _created(),
    UniqueConstraint("job_id", "number"),
    Index(None, "persona_id", "id"),
    Index(None, "style", "id"),
    Index(None, "rating", "id"),
    Index(None, "run_id"),
    Index(None, "parent_id"),
    sqlite_autoincrement=True,
)

schedules = Table(
    "schedules",
    metadata,
    _id(),
    _to("chat_id", "chats", null=False, gone="CASCADE"),
    #: Null where no post comes of it: its options say what it orders.
    _to("persona_id", "personas", gone="CASCADE"),
    _to("person_id", "people"),
    Column("spec", Text, nullable=False),
    Column("zone", String(64), nullable=False),
    Column("theme", Text, nullable=False, server_default=""),
    Column("state", String(16), nullable=False),
    Column("options", JSON, nullable=False, server_default="{}"),
    Column("next_due_at", Moment),
    Column("ends_at", Moment),
    #: What names the order, and what it said in brief: see `once.py`.
    Column("dedup_key", String(300)),
    Column("told", String(64)),
    _created(),
    Index(None, "state", "next_due_at"),
    Index(None, "dedup_key", unique=True),
    sqlite_autoincrement=True,
)

posts = Table(
    "posts",
    metadata,
    _id(),
    _to("schedule_id", "schedules"),
    _to("persona_id", "personas", null=False, gone="CASCADE"),
    _to("chat_id", "chats", null=False, gone="CASCADE"),
    _to("job_id", "jobs"),
    _to("picture_id", "pictures"),
    Column("occurrence_key", String(200), nullable=False, unique=True),
    Column("due_at", Moment, nullable=False),
    Column("state", String(16), nullable=False),
    Column("caption", Text, nullable=False, server_default=""),
    Column("theme", Text, nullable=False, server_default=""),
    Column("source", String(16)),
    Column("error", Text, nullable=False, server_default=""),
    Column("options", JSON, nullable=False, server_default="{}"),
    _created(),
    Index(None, "state", "due_at"),
    Index(None, "persona_id", "id"),
    sqlite_autoincrement=True,
)

#: What a place listens to: feeds that we look at, and hooks that others knock at.
feeds = Table(
    "feeds",
    metadata,
    _id(),
    _to("chat_id", "chats", null=False, gone="CASCADE"),
    _to("persona_id", "personas", null=False, gone="CASCADE"),
    _to("person_id", "people"),
    Column("kind", String(16), nullable=False),
    Column("address", Text, nullable=False, server_default=""),
    #: The SHA-256 of a hook's secret, in hex.
    Column("secret", String(64), nullable=False, server_default=""),
    Column("state", String(16), nullable=False),
    Column("options", JSON, nullable=False, server_default="{}"),
    #: What its server wants to be told, so that it need not send again what we have.
    Column("etag", Text, nullable=False, server_default=""),
    Column("modified", Text, nullable=False, server_default=""),
    Column("next_at", Moment),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("error", Text, nullable=False, server_default=""),
    #: What names the order, and what it said in brief: see `once.py`.
    Column("dedup_key", String(300)),
    Column("told", String(64)),
    _created(),
    Index(None, "state", "next_at"),
    Index(None, "chat_id"),
    Index(None, "dedup_key", unique=True),
    sqlite_autoincrement=True,
)

#: Each item that was ever seen in one of them, posted or not.
feed_items = Table(
    "feed_items",
    metadata,
    _id(),
    _to("feed_id", "feeds", null=False, gone="CASCADE"),
    Column("key", String(64), nullable=False),
    _to("post_id", "posts"),
    Column("title", Text, nullable=False, server_default=""),
    Column("link", Text, nullable=False, server_default=""),
    #: What a hook was told, in brief: see `once.py`.
    Column("told", String(64)),
    _created(),
    UniqueConstraint("feed_id", "key"),
    sqlite_autoincrement=True,
)

deliveries = Table(
    "deliveries",
    metadata,
    _id(),
    _to("chat_id", "chats", null=False, gone="CASCADE"),
    _to("turn_id", "turns"),
    _to("job_id", "jobs"),
    _to("post_id", "posts"),
    #: The turn of a person that this answers. Without a foreign key, which SQLite can add to no table that is there;
    #: a number that leads nowhere any more is nobody else's either.
    Column("answers_id", Integer),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("text", Text, nullable=False, server_default=""),
    Column("manner", JSON, nullable=False, server_default="{}"),
    #: It was being sent when the process ended.
    Column("unsure", Boolean, nullable=False, server_default=false()),
    Column("source", String(16)),
    #: What makes a repeated send recognisable, on platforms that look at it.
    Column("nonce", String(32), nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("messages", JSON, nullable=False, server_default="[]"),
    Column("error", Text, nullable=False, server_default=""),
    #: When a pause ends; null, as for nearly all: at once, whatever the clock says.
    Column("available_at", Moment),
    Column("sent_at", Moment),
    _created(),
    #: Only what is still owed is in it: what the outbox looks for.
    Index(
        "ix_deliveries_owed",
        "id",
        sqlite_where=text("state IN ('pending', 'sending')"),
        postgresql_where=text("state IN ('pending', 'sending')"),
    ),
    Index(None, "chat_id", "id"),
    Index(None, "job_id"),
    Index(None, "post_id"),
    Index(None, "turn_id"),
    Index(None, "answers_id"),
    sqlite_autoincrement=True,
)

#: Our messages on the platforms: what somebody replies to, reacts to, or presses a button of.
shown_messages = Table(
    "shown_messages",
    metadata,
    _id(),
    _to("chat_id", "chats", null=False, gone="CASCADE"),
    Column("message", String(128), nullable=False),
    _to("delivery_id", "deliveries", gone="CASCADE"),
    #: A reply to this turn is being written there, and is not stored yet.
    _to("drafts_id", "turns", gone="CASCADE"),
    UniqueConstraint("chat_id", "message"),
    Index(None, "delivery_id"),
    Index(None, "drafts_id"),
    sqlite_autoincrement=True,
)

reactions = Table(
    "reactions",
    metadata,
    _id(),
    _to("chat_id", "chats", null=False, gone="CASCADE"),
    _to("person_id", "people", null=False, gone="CASCADE"),
    #: What it is about: a reply, or a picture's job.
    _to("turn_id", "turns", gone="CASCADE"),
    _to("job_id", "jobs", gone="CASCADE"),
    Column("message", String(128), nullable=False),
    Column("emoji", String(64), nullable=False),
    _created(),
    UniqueConstraint("chat_id", "message", "person_id", "emoji"),
    Index(None, "turn_id"),
    Index(None, "job_id"),
    sqlite_autoincrement=True,
)

#: What those who run the house were told, by what makes it the same: a restart does not tell it again.
alerts = Table(
    "alerts",
    metadata,
    Column("key", String(300), primary_key=True),
    Column("told_at", Moment, nullable=False),
    #: It is not known to be over.
    Column("lasts", Boolean, nullable=False, server_default=false()),
)

#: What the house asked somebody, one at a time in each chat; their next words are the answer.
questions = Table(
    "questions",
    metadata,
    _id(),
    _to("chat_id", "chats", null=False, gone="CASCADE"),
    _to("person_id", "people", null=False, gone="CASCADE"),
    Column("order", Text, nullable=False),
    _created(),
    UniqueConstraint("chat_id", "person_id"),
    sqlite_autoincrement=True,
)

#: What other programs show to be let in. A key itself is told once and kept nowhere.
keys = Table(
    "keys",
    metadata,
    _id(),
    Column("name", String(64), nullable=False, unique=True),
    #: The SHA-256 of the key, in hex.
    Column("hash", String(64), nullable=False, unique=True),
    Column("scopes", JSON, nullable=False),
    #: So many requests a minute; 0: as many as they like.
    Column("rate", Integer, nullable=False, server_default="0"),
    Column("used_at", Moment),
    Column("revoked_at", Moment),
    _created(),
    sqlite_autoincrement=True,
)

#: Browsers that are let in, each by a cookie of which the SHA-256 stands here.
sessions = Table(
    "sessions",
    metadata,
    _id(),
    Column("hash", String(64), nullable=False, unique=True),
    #: Who came in by a key may do what the key may, for as long as it may.
    _to("key_id", "keys", gone="CASCADE"),
    Column("ends_at", Moment, nullable=False),
    _created(),
    Index(None, "ends_at"),
    Index(None, "key_id"),
    sqlite_autoincrement=True,
)

#: What stands in the chats of the page, which has no platform that would keep it.
messages = Table(
    "messages",
    metadata,
    _id(),
    _to("chat_id", "chats", null=False, gone="CASCADE"),
    Column("by", String(16), nullable=False),
    Column("name", Text, nullable=False, server_default=""),
    Column("slug", String(200), nullable=False, server_default=""),
    Column("text", Text, nullable=False, server_default=""),
    Column("source", String(16)),
    _to("delivery_id", "deliveries"),
    _to("turn_id", "turns"),
    _to("job_id", "jobs"),
    Column("pictures", JSON, nullable=False, server_default="[]"),
    Column("buttons", JSON, nullable=False, server_default="[]"),
    #: Every change takes the next number of all of them: whoever knows one is told what came behind it.
    Column("revision", Integer, nullable=False, unique=True),
    #: It was taken away; the row tells those who were not there.
    Column("gone", Boolean, nullable=False, server_default=false()),
    _created(),
    UniqueConstraint("delivery_id"),
    Index(None, "chat_id", "id"),
    Index(None, "chat_id", "revision"),
    Index(None, "turn_id"),
    Index(None, "job_id"),
    sqlite_autoincrement=True,
)

#: Who wants to be told at an address of theirs when a job has ended.
callbacks = Table(
    "callbacks",
    metadata,
    _id(),
    _to("job_id", "jobs", null=False, gone="CASCADE"),
    _to("key_id", "keys", gone="CASCADE"),
    Column("address", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("error", Text, nullable=False, server_default=""),
    Column("available_at", Moment),
    _created(),
    Index(None, "state", "available_at"),
    Index(None, "job_id"),
    Index(None, "key_id"),
    sqlite_autoincrement=True,
)
