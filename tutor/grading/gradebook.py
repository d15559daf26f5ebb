"""The gradebook: every sheet that came in, every result, every version of an assignment; SQLite, or a server by URL.

Nothing is written over: a sheet and a result lie under the digest of what they are, a grading says which result an
entry has under which version of assignment and engine. What is handed in anew under the same name takes the old one's
place among the entries, while its sheet and its result stay.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from tutor.errors import NotFoundError, TutorError, UsageError
from tutor.grading.model import NOBODY, Override, Packed, Problem, Result, Submission
from tutor.language import said

FILE = "gradebook.sqlite"
HEAD = "001"  # the newest migration
PATIENCE = 30  # seconds that a locked gradebook is waited for
AT_ONCE = 500  # rows of one statement

metadata = sa.MetaData()
versions = sa.Table(
    "versions", metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("assignment", sa.Text, nullable=False),
    sa.Column("engine", sa.Text, nullable=False),
)  # fmt: skip
learners = sa.Table(
    "learners", metadata,
    sa.Column("learner", sa.Text, primary_key=True),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("aliases", sa.Text, nullable=False),
    sa.Column("known", sa.Boolean, nullable=False),
)  # fmt: skip
sheets = sa.Table(
    "sheets", metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
)  # fmt: skip
entries = sa.Table(
    "entries", metadata,
    sa.Column("learner", sa.Text, primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("digest", sa.String(64)),
    sa.Column("problems", sa.Text, nullable=False),
)  # fmt: skip
results = sa.Table(
    "results", metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("cut", sa.Boolean, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)  # fmt: skip
gradings = sa.Table(
    "gradings", metadata,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("learner", sa.Text, primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("key", sa.String(64), nullable=False),
    sa.Index("gradings_by_key", "key"),
)  # fmt: skip
worths = sa.Table(
    "worths", metadata,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("variant", sa.Text, primary_key=True),
    sa.Column("worth", sa.Text, nullable=False),
)  # fmt: skip
overrides = sa.Table(
    "overrides", metadata,
    sa.Column("learner", sa.Text, primary_key=True),
    sa.Column("question", sa.Text, primary_key=True),
    sa.Column("points", sa.Float, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
)  # fmt: skip


class GradebookError(TutorError):
    """The gradebook cannot be read or written: full, locked, damaged, of a later version."""


@dataclass(frozen=True)
class Version:
    """One version of assignment and engine, under which results count."""

    number: int
    digest: str
    path: str  # where the assignment lay
    assignment: str  # its text
    engine: Mapping[str, str]


@dataclass(frozen=True)
class Entry:
    """What is known of one file that was handed in."""

    learner: str
    attempt: int
    name: str
    digest: str | None
    problems: tuple[Problem, ...]
    key: str | None = None
    result: Result | None = None


class Gradebook:
    """One assignment's gradebook. Each method is one transaction."""

    def __init__(self, url: str):
        self._url = _parsed(url)
        self.engine = _engine(self._url)
        self._writes: dict[tuple[str, bool], Any] = {}
        self._migrate()

    def close(self) -> None:
        self.engine.dispose()

    def __enter__(self) -> Gradebook:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with _explained(self._url), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with _explained(self._url), self.engine.connect() as connection:
            yield connection

    def _migrate(self) -> None:
        """Bring the tables up to this version; Alembic is imported where there is something to do."""
        with self._reading() as connection:
            there = sa.inspect(connection).get_table_names()
            found = None
            if "alembic_version" in there:
                found = connection.execute(sa.text("select version_num from alembic_version")).scalar()
        if found == HEAD:
            return
        if found is not None and found > HEAD or found is None and set(metadata.tables) & set(there):
            raise GradebookError(
                said("{url} was written by another version of the tutor: use that one", url=_shown(self._url))
            )
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", "tutor.grading:migrations")
        with self._writing() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    @property
    def _server(self) -> bool:
        return self.engine.dialect.name == "postgresql"

    def _in_order(self, *columns: sa.Column[Any]) -> list[sa.ColumnElement[Any]]:
        """Columns as they are ordered by: texts byte by byte, whatever language the server's database speaks."""
        texts = self._server
        return [sa.collate(c, "C") if texts and isinstance(c.type, sa.Text) else c for c in columns]

    def _put(
        self, connection: sa.Connection, table: sa.Table, rows: Iterable[Mapping[str, Any]], *, new: bool = False
    ) -> None:
        """Write rows; one that is there is kept if `new` ones alone are wanted, else it takes the new values."""
        statement = self._writes.get((table.name, new))
        if statement is None:  # making one takes longer than running it
            statement = self._writes[table.name, new] = self._write(table, new)
        rows = list(rows)
        for start in range(0, len(rows), AT_ONCE):
            connection.execute(statement, rows[start : start + AT_ONCE])

    def _write(self, table: sa.Table, new: bool) -> Any:
        keys = [column.name for column in table.primary_key]
        statement = (postgresql if self._server else sqlite).insert(table)
        others = {c.name: statement.excluded[c.name] for c in table.columns if c.name not in keys}
        if new or not others:
            return statement.on_conflict_do_nothing(index_elements=keys)
        return statement.on_conflict_do_update(index_elements=keys, set_=others)

    # -- taking in ---------------------------------------------------------------------------------------------

    def version(self, digest: str, path: str, assignment: str, engine: Mapping[str, str]) -> Version:
        """The version of that digest, made the newest."""
        with self._writing() as connection:
            newest = connection.execute(sa.select(sa.func.max(versions.c.number))).scalar() or 0
            found = connection.execute(sa.select(versions).where(versions.c.digest == digest)).first()
            if found is None or found.number != newest:
                # a version that comes back is the newest again, and its gradings come with it
                row = {"number": newest + 1, "digest": digest, "path": path, "assignment": assignment,
                       "engine": json.dumps(dict(engine), sort_keys=True)}  # fmt: skip
                if found is not None:
                    connection.execute(sa.delete(versions).where(versions.c.digest == digest))
                    for table in (gradings, worths):
                        connection.execute(
                            sa.update(table).where(table.c.version == found.number).values(version=newest + 1)
                        )
                connection.execute(sa.insert(versions), [row])
        return self.newest()

    def newest(self) -> Version:
        """The version under which results count; NotFoundError where nothing was graded yet."""
        found = self.known_versions()
        if not found:
            raise NotFoundError(said("nothing was graded into {url} yet", url=_shown(self._url)))
        return found[-1]

    def known_versions(self) -> list[Version]:
        """All versions, the newest last."""
        with self._reading() as connection:
            rows = connection.execute(sa.select(versions).order_by(versions.c.number)).all()
        return [Version(r.number, r.digest, r.path, r.assignment, json.loads(r.engine)) for r in rows]

    def before(self, version: Version) -> Version | None:
        """The version before another one."""
        return next((v for v in reversed(self.known_versions()) if v.number < version.number), None)

    def enrol(self, people: Iterable[tuple[str, str, Mapping[str, str]]], *, known: bool = True) -> None:
        """Learners of the roster: (id, name, aliases)."""
        with self._writing() as connection:
            rows = [_learner(learner, person, aliases, known) for learner, person, aliases in people]
            self._put(connection, learners, rows)

    def take_in(self, submissions: Sequence[Submission]) -> None:
        """Keep what was handed in: all of it or, where that fails, nothing."""
        with self._writing() as connection:
            people = {s.learner: s for s in submissions if s.learner != NOBODY}
            strangers = [s for s in people.values() if _unknown(s)]
            others = [s for s in people.values() if not _unknown(s)]
            self._put(connection, learners, [_learner(s.learner, s.person, s.aliases, False) for s in strangers])
            rows = [_learner(s.learner, s.person, s.aliases, True) for s in others]
            self._put(connection, learners, rows, new=True)
            bodies = {digest_of(s.data): s.data for s in submissions if s.data is not None}
            packed = ({"digest": digest, "body": zlib.compress(data, 1)} for digest, data in bodies.items())
            self._put(connection, sheets, packed, new=True)
            self._put(connection, entries, [_entry(s) for s in submissions])

    # -- judging -----------------------------------------------------------------------------------------------

    def to_judge(self, version: int) -> Iterator[Entry]:
        """Entries with a sheet and without a result under a version, or with one that was cut, in a fixed order."""
        yield from (_as_entry(row) for row in self._paged(self._unjudged(version)))

    def count_to_judge(self, version: int) -> int:
        """How many there are."""
        with self._reading() as connection:
            query = sa.select(sa.func.count()).select_from(self._unjudged(version).subquery())
            return connection.execute(query).scalar() or 0

    def _unjudged(self, version: int) -> sa.Select[Any]:
        kept = sa.and_(results.c.key == gradings.c.key, results.c.cut == sa.false())
        return (
            sa.select(entries)
            .outerjoin(gradings, _graded(version))
            .outerjoin(results, kept)
            .where(entries.c.digest.is_not(None), results.c.key.is_(None))
        )

    def _paged(self, query: sa.Select[Any]) -> Iterator[Any]:
        """The rows of a query over entries, page by page, so that writing may go on in between."""
        order = self._in_order(entries.c.learner, entries.c.attempt, entries.c.name)
        query, after = query.order_by(*order).limit(AT_ONCE), None
        while True:
            page = query if after is None else query.where(sa.tuple_(*order) > sa.tuple_(*map(sa.literal, after)))
            with self._reading() as connection:
                rows = connection.execute(page).all()
            yield from rows
            if len(rows) < AT_ONCE:
                return
            after = (rows[-1].learner, rows[-1].attempt, rows[-1].name)

    def bodies(self, digests: Iterable[str]) -> dict[str, bytes]:
        """The bytes of sheets, by their digests; few at a time, since a sheet may be large."""
        wanted = set(digests)
        with self._reading() as connection:
            rows = connection.execute(sa.select(sheets).where(sheets.c.digest.in_(wanted))).all()
        if len(rows) < len(wanted):
            raise GradebookError(said("the gradebook {url} has lost sheets", url=_shown(self._url)))
        return {row.digest: zlib.decompress(row.body) for row in rows}

    def known(self, keys: Iterable[str]) -> set[str]:
        """Those of the keys that have a result that counts."""
        query = sa.select(results.c.key).where(results.c.key.in_(set(keys)), results.c.cut == sa.false())
        with self._reading() as connection:
            return set(connection.execute(query).scalars())

    def record(self, version: int, found: Iterable[tuple[str, Packed | None, Iterable[Entry]]]) -> None:
        """Results, each with all entries that have it, or None where it is there already; kept when this returns."""
        made, graded = [], []
        for key, result, of in found:
            if result is not None:
                made.append({"key": key, "cut": result.cut, "body": result.body})
            graded += [_grading(version, key, entry) for entry in of]
        with self._writing() as connection:
            self._put(connection, results, made)
            self._put(connection, gradings, graded)

    def put_worths(self, version: int, found: Mapping[str, Mapping[str, float]]) -> None:
        """What each asked name of a variant is worth."""
        with self._writing() as connection:
            rows = [{"version": version, "variant": v, "worth": json.dumps(dict(w))} for v, w in found.items()]
            self._put(connection, worths, rows)

    def get_worths(self, version: int) -> dict[str, dict[str, float]]:
        """By variant, as `put_worths` had it."""
        with self._reading() as connection:
            rows = connection.execute(sa.select(worths).where(worths.c.version == version)).all()
        return {row.variant: json.loads(row.worth) for row in rows}

    # -- looking ----------------------------------------------------------------------------------------------

    def people(self) -> Iterator[tuple[str, str, Mapping[str, str], bool]]:
        """(learner, name, aliases, on the roster), in the order of their ids."""
        (order,), after = self._in_order(learners.c.learner), None
        query = sa.select(learners).order_by(order).limit(AT_ONCE)
        while True:
            with self._reading() as connection:
                rows = connection.execute(query if after is None else query.where(order > after)).all()
            for row in rows:
                yield row.learner, row.person, json.loads(row.aliases), row.known
            if len(rows) < AT_ONCE:
                return
            after = rows[-1].learner

    def entries(self, version: int) -> Iterator[Entry]:
        """All that was handed in with its result under a version, in the order of learners, attempts, names."""
        query = (
            sa.select(entries, gradings.c.key, results.c.cut, results.c.body)
            .outerjoin(gradings, _graded(version))
            .outerjoin(results, results.c.key == gradings.c.key)
        )
        yield from (_as_entry(row, row.key, row.cut, row.body) for row in self._paged(query))

    def of_nobody(self) -> list[Entry]:
        """What was handed in and belongs to nobody, as a damaged archive."""
        with self._reading() as connection:
            query = sa.select(entries).where(entries.c.learner == NOBODY).order_by(*self._in_order(entries.c.name))
            return [_as_entry(row) for row in connection.execute(query)]

    def alike(self) -> set[str]:
        """Ids, in small letters, that several learners have in different capitals."""
        small = sa.func.lower(learners.c.learner)
        with self._reading() as connection:
            query = sa.select(small).group_by(small).having(sa.func.count() > 1)
            return set(connection.execute(query).scalars())

    def files(self) -> int:
        """How many files were handed in."""
        with self._reading() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(entries)).scalar() or 0

    def override(self, made: Override | None, learner: str = "", question: str = "") -> None:
        """Keep a teacher's decision, or forget the one about a learner's question."""
        with self._writing() as connection:
            if made is None:
                own = sa.and_(overrides.c.learner == learner, overrides.c.question == question)
                connection.execute(sa.delete(overrides).where(own))
            else:
                row = {
                    "learner": made.learner,
                    "question": made.question,
                    "points": made.points,
                    "comment": made.comment,
                }
                self._put(connection, overrides, [row])

    def overrides(self) -> dict[tuple[str, str], Override]:
        """All decisions, by learner and question."""
        with self._reading() as connection:
            rows = connection.execute(sa.select(overrides)).all()
        return {(r.learner, r.question): Override(r.learner, r.question, r.points, r.comment) for r in rows}


def _graded(version: int) -> sa.ColumnElement[bool]:
    """A grading is that of an entry: of the file as it is now."""
    same = (gradings.c[name] == entries.c[name] for name in ("learner", "attempt", "name", "digest"))
    return sa.and_(*same, gradings.c.version == version)


# -- rows ------------------------------------------------------------------------------------------------------------


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _learner(learner: str, person: str, aliases: Mapping[str, str], known: bool) -> dict[str, Any]:
    return {"learner": learner, "person": person, "aliases": json.dumps(dict(aliases), sort_keys=True), "known": known}


def _unknown(submission: Submission) -> bool:
    return any(problem.id == "unknown-learner" for problem in submission.problems)


def _entry(s: Submission) -> dict[str, Any]:
    digest = None if s.data is None else digest_of(s.data)
    problems = json.dumps([problem.to_dict() for problem in s.problems], ensure_ascii=False)
    return {"learner": s.learner, "attempt": s.attempt, "name": s.name, "digest": digest, "problems": problems}


def _grading(version: int, key: str, e: Entry) -> dict[str, Any]:
    place = {"learner": e.learner, "attempt": e.attempt, "name": e.name}
    return {"version": version, **place, "digest": e.digest, "key": key}


def _as_entry(row: Any, key: str | None = None, cut: bool | None = None, body: bytes | None = None) -> Entry:
    problems = tuple(Problem(p["id"], p["message"]) for p in json.loads(row.problems)) if row.problems != "[]" else ()
    result = None if body is None else Packed(body, bool(cut)).opened()
    return Entry(row.learner, row.attempt, row.name, row.digest, problems, key, result)


# -- opening ---------------------------------------------------------------------------------------------------------


def url_of(results_folder: str | Path, url: str | None = None) -> str:
    """The gradebook's URL: the one given, else SQLite's file in the results folder."""
    return url or f"sqlite:///{Path(results_folder).resolve() / FILE}"


def opened(results_folder: str | Path, url: str | None = None) -> Gradebook:
    """The gradebook of a results folder that is there already, to be looked into."""
    if url is None and not (Path(results_folder) / FILE).is_file():
        raise NotFoundError(said("{folder} holds no gradebook: 'tutor grade' makes one", folder=results_folder))
    return Gradebook(url_of(results_folder, url))


def _parsed(url: str) -> sa.URL:
    try:
        return sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):  # the text may hold a password, and is not repeated
        raise UsageError(
            said("this is no URL of a gradebook: write --db postgresql://USER:PASSWORD@HOST/NAME")
        ) from None


def _engine(url: sa.URL) -> sa.Engine:
    name = url.get_backend_name()
    if name not in ("sqlite", "postgresql"):
        raise UsageError(said("a gradebook is SQLite or PostgreSQL, not {name}", name=name))
    if name == "postgresql" and url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    try:
        engine = sa.create_engine(url, connect_args={"timeout": PATIENCE} if name == "sqlite" else {})
    except ModuleNotFoundError:
        raise UsageError(
            said("a gradebook on PostgreSQL needs its driver: pip install 'derivation-tutor[postgresql]'")
        ) from None
    if name == "sqlite":
        sa.event.listen(engine, "connect", _as_we_write)
    return engine


def _as_we_write(connection: Any, _: Any) -> None:
    """Write-ahead logging: what was committed outlives a killed process, and readers do not wait."""
    cursor = connection.cursor()
    cursor.execute("pragma journal_mode=wal")
    cursor.execute("pragma synchronous=normal")
    cursor.close()


def _shown(url: sa.URL) -> str:
    return url.database or str(url) if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)


@contextmanager
def _explained(url: sa.URL) -> Iterator[None]:
    """The database's refusals in our words."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        reason = " ".join(str(error.orig).split())[:200]
        where = _shown(url)
        if "locked" in reason:
            raise GradebookError(
                said("{where} is in use by another program: try again when it is done", where=where)
            ) from None
        if "full" in reason or "No space" in reason or "disk I/O" in reason:
            raise GradebookError(
                said("{where} cannot be written ({reason}): make room and run the same command again; nothing that was "
                     "graded is lost", where=where, reason=reason)
            ) from None  # fmt: skip
        raise GradebookError(said("the gradebook {where}: {reason}", where=where, reason=reason)) from None
