"""Places where many people meet: guests, whose turn it is, our messages on the platforms, reactions, questions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import engine.store.tables

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "questions",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("chat_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("order", sa.Text(), nullable=False),
        sa.Column("created_at", engine.store.tables.Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["chat_id"], ["chats.id"], name=op.f("fk_questions_chat_id_chats"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["people.id"], name=op.f("fk_questions_person_id_people"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_questions")),
        sa.UniqueConstraint("chat_id", "person_id", name=op.f("uq_questions_chat_id_person_id")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "reactions",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("chat_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("turn_id", sa.Integer(), nullable=True),
        sa.Column("job_id", sa.Integer(), nullable=True),
        sa.Column("message", sa.String(length=128), nullable=False),
        sa.Column("emoji", sa.String(length=64), nullable=False),
        sa.Column("created_at", engine.store.tables.Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["chat_id"], ["chats.id"], name=op.f("fk_reactions_chat_id_chats"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_reactions_job_id_jobs"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["people.id"], name=op.f("fk_reactions_person_id_people"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["turn_id"], ["turns.id"], name=op.f("fk_reactions_turn_id_turns"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reactions")),
        sa.UniqueConstraint(
            "chat_id",
            "message",
            "person_id",
            "emoji",
            name=op.f("uq_reactions_chat_id_message_person_id_emoji"),
        ),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("reactions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_reactions_job_id"), ["job_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_reactions_turn_id"), ["turn_id"], unique=False)

    op.create_table(
        "shown_messages",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("chat_id", sa.Integer(), nullable=False),
        sa.Column("message", sa.String(length=128), nullable=False),
        sa.Column("delivery_id", sa.Integer(), nullable=True),
        sa.Column("drafts_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["chat_id"], ["chats.id"], name=op.f("fk_shown_messages_chat_id_chats"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["deliveries.id"],
            name=op.f("fk_shown_messages_delivery_id_deliveries"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["drafts_id"], ["turns.id"], name=op.f("fk_shown_messages_drafts_id_turns"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shown_messages")),
        sa.UniqueConstraint("chat_id", "message", name=op.f("uq_shown_messages_chat_id_message")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("shown_messages", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_shown_messages_delivery_id"), ["delivery_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_shown_messages_drafts_id"), ["drafts_id"], unique=False)

    # Columns are added in place. Copying a table, as SQLite's batch mode does, would drop it meanwhile, and with it
    # all that points to it.
    op.add_column("chats", sa.Column("guests", sa.JSON(), server_default="[]", nullable=False))
    op.add_column("chats", sa.Column("shared", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("chats", sa.Column("allows_mature", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.add_column("chats", sa.Column("left_at", engine.store.tables.Moment(), nullable=True))
    op.add_column("deliveries", sa.Column("manner", sa.JSON(), server_default="{}", nullable=False))
    op.add_column("deliveries", sa.Column("unsure", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("turns", sa.Column("answer_to", sa.Text(), server_default="", nullable=False))
    op.add_column("turns", sa.Column("attachments", sa.JSON(), server_default="[]", nullable=False))
    op.add_column("turns", sa.Column("wanted", sa.JSON(), server_default="[]", nullable=False))
    op.add_column(
        "people", sa.Column("language_chosen", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("deliveries", sa.Column("answers_id", sa.Integer(), nullable=True))
    op.add_column("turns", sa.Column("asked_by", sa.Integer(), nullable=True))
    # Whatever points to a turn is looked for when one is taken back.
    for column in ("turn_id", "answers_id"):
        op.create_index(f"ix_deliveries_{column}", "deliveries", [column])
    for column in ("turn_id", "chat_id"):
        op.create_index(f"ix_jobs_{column}", "jobs", [column])
