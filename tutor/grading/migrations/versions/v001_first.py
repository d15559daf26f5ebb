"""The first gradebook."""

import sqlalchemy as sa
from alembic import op

revision = "001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "versions",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("assignment", sa.Text, nullable=False),
        sa.Column("engine", sa.Text, nullable=False),
    )
    op.create_table(
        "learners",
        sa.Column("learner", sa.Text, primary_key=True),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("aliases", sa.Text, nullable=False),
        sa.Column("known", sa.Boolean, nullable=False),
    )
    op.create_table(
        "sheets",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "entries",
        sa.Column("learner", sa.Text, primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("digest", sa.String(64)),
        sa.Column("problems", sa.Text, nullable=False),
    )
    op.create_table(
        "results",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("cut", sa.Boolean, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "gradings",
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("learner", sa.Text, primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
    )
    op.create_index("gradings_by_key", "gradings", ["key"])
    op.create_table(
        "worths",
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("variant", sa.Text, primary_key=True),
        sa.Column("worth", sa.Text, nullable=False),
    )
    op.create_table(
        "overrides",
        sa.Column("learner", sa.Text, primary_key=True),
        sa.Column("question", sa.Text, primary_key=True),
        sa.Column("points", sa.Float, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
    )


def downgrade() -> None:
    for table in ("overrides", "worths", "gradings", "results", "entries", "sheets", "learners", "versions"):
        op.drop_table(table)
