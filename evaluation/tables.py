"""The tables of the catalogue."""

from __future__ import annotations

import sqlalchemy as sa

# Counted up when an older specmine could no longer work with the tables. A table that is new is simply added to a
# catalogue that lacks it: older ones do not look at it.
SCHEMA_VERSION = 1

METADATA = sa.MetaData()
schema_version = sa.Table("schema_version", METADATA, sa.Column("version", sa.Integer, nullable=False))
queries = sa.Table(
    "queries",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("split", sa.Text, nullable=False, index=True),
    sa.Column("grouping", sa.Text),  # "group" is a word of SQL
)
judgements = sa.Table(
    "judgements",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("query", sa.Text, sa.ForeignKey("queries.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("grade", sa.Integer, nullable=False),
    sa.Column("start", sa.Integer),
    sa.Column("end", sa.Integer),
    sa.Column("first_page", sa.Integer),
    sa.Column("last_page", sa.Integer),
    sa.Column("section", sa.Text),
    sa.Column("quote", sa.Text),
)
runs = sa.Table(
    "runs",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("started", sa.Text, nullable=False, index=True),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("summary", sa.Text, nullable=False),  # JSON
)
measures = sa.Table(
    "measures",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("time", sa.Text, nullable=False),
    sa.Column("release", sa.Text, nullable=False),
    sa.Column("split", sa.Text, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("values", sa.Text, nullable=False),  # JSON
)
decisions = sa.Table(
    "decisions",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("time", sa.Text, nullable=False),
    sa.Column("query", sa.Text, nullable=False),  # no foreign key: a decision outlives the split it was made for
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("start", sa.Integer, nullable=False),
    sa.Column("end", sa.Integer, nullable=False),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("reviewer", sa.Text, nullable=False),
)
generated = sa.Table(
    "generated",
    METADATA,
    sa.Column("generator", sa.Text, primary_key=True),
    sa.Column("document", sa.Text, primary_key=True),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("settings", sa.Text, nullable=False),  # JSON
    sa.Column("made", sa.Integer, nullable=False),
    sa.Column("dropped", sa.Text, nullable=False),  # JSON
    sa.Column("time", sa.Text, nullable=False),
)
synthetic_queries = sa.Table(
    "synthetic_queries",
    METADATA,
    sa.Column("query", sa.Text, sa.ForeignKey("queries.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("generator", sa.Text, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("rank", sa.Integer, nullable=False),
)
searches = sa.Table(
    "searches",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("time", sa.Text, nullable=False, index=True),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("release", sa.Text, nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("milliseconds", sa.Float, nullable=False),
)
shown = sa.Table(
    "shown",
    METADATA,
    sa.Column("search", sa.Text, sa.ForeignKey("searches.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("rank", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("start", sa.Integer, nullable=False),
    sa.Column("end", sa.Integer, nullable=False),
    sa.Column("chunk", sa.Text, nullable=False),
    sa.Column("score", sa.Float, nullable=False),
    sa.Column("opened", sa.Boolean, nullable=False),
    sa.Column("verdict", sa.Text),
    sa.Column("judged", sa.Text),  # when the verdict was given
)
leases = sa.Table(
    "leases",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("process", sa.Text, nullable=False),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("flow_run", sa.Text),
    sa.Column("since", sa.Float, nullable=False),  # seconds since 1970 by the database's clock, as is the next
    sa.Column("expires", sa.Float, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
)
done = sa.Table(
    "done",
    METADATA,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("flow_run", sa.Text, nullable=False),
    sa.Column("time", sa.Text, nullable=False, index=True),
)
