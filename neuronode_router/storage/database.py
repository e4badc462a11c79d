"""One SQL database behind short transactions: SQLite in WAL mode or PostgreSQL, migrated on first use.

It must not know what the tables mean. Every failure leaves here as `StoreUnavailable`, after a bounded time.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    create_engine,
    event,
    extract,
    func,
    insert,
    inspect,
    make_url,
    select,
    text,
    update,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from neuronode_router import private_files
from neuronode_router.errors import CommitUnknown, SchemaTooNew, SettingsError, StoreUnavailable
from neuronode_router.foreign import described
from neuronode_router.storage.tables import (
    FIRST_ROWS,
    HEAD_VERSION,
    OLDEST_READER,
    VERSION_TABLE,
    metadata,
    reader,
    version,
)

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 3
"""How long one statement, one lock or one connection attempt may take before the store counts as gone."""

CLOCK_TICK_SECONDS = 0.1
"""More than the tick of the clock by which the kernel times a local file."""

MIGRATION_SECONDS = 30
"""How long a process waits while another one migrates a SQLite file."""

MIGRATION_LOCK = 0x6E6575726F6E6F64
"""PostgreSQL advisory lock under which only one process migrates ("neuronod" in ASCII)."""

SCHEMA = "neuronode"
"""PostgreSQL schema of all our tables: a tool that keeps another schema in step, such as Prisma for LiteLLM, never sees
them, and never drops what it does not know.
"""

MIGRATIONS = Path(__file__).parent / "migrations"


_SERVER_TIME = select(extract("epoch", func.clock_timestamp()))

FileMark = tuple[int, int, int]
Mark = tuple[FileMark, FileMark | None]
"""The state file and its write-ahead log: when each was written, how long it is, and which file it is."""


class Database:
    """Opens transactions on `url`. Nothing is connected or created before the first one.

    `url` is `sqlite:///file`, `postgresql://...` or `postgres://...`; there the tables are in a schema of our own,
    `SCHEMA`. Raises `SettingsError` for anything else.
    """

    def __init__(self, url: str) -> None:
        self._url = _normal_url(url)
        self._sqlite = self._url.get_backend_name() == "sqlite"
        self._engine = _sqlite_engine(self._url) if self._sqlite else _postgres_engine(self._url)
        self._migrated = False
        self._migrating = threading.Lock()
        self._failed = 0
        """How many first connections failed."""

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction for reading; it sees one moment per statement. Raises `StoreUnavailable`."""
        with _translated():
            self._ensure_migrated()
            with self._engine.connect() as connection, connection.begin():
                yield connection

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Connection]:
        """Open a transaction for writing; commits at the end, rolls back on any error. Raises `StoreUnavailable`, and
        `CommitUnknown` where nobody can tell whether it was committed.

        `durable=False` is for rows that may be lost when the machine (not the process) dies: SQLite then does not
        wait for the disk.
        """
        with _translated():
            self._ensure_migrated()
            with self._engine.connect() as connection:
                connection = connection.execution_options(neuronode_write="FULL" if durable else "NORMAL")
                with connection.begin() as transaction:
                    yield connection
                    if transaction.is_active:
                        commit(connection)

    def time(self, clock: Callable[[], float]) -> float:
        """Return what `database_time` does. Raises `StoreUnavailable`."""
        with self.reading() as connection:
            return database_time(connection, clock)

    def settled(self) -> bool:
        """Return whether there is a schema to work with; where not, the first transaction makes or migrates it.

        This makes and migrates nothing. Raises `StoreUnavailable`, and `SchemaTooNew`.
        """
        if self.missing():
            return False
        with _translated(), self._engine.connect() as connection, connection.begin():
            return _usable(connection)

    def missing(self) -> str | None:
        """Return the SQLite file that the first transaction would make; None where there is something to open."""
        file = self._url.database if self._sqlite else None
        return file if file and not Path(file).exists() else None

    def mark(self) -> Mark | None:
        """Return what differs once a transaction was committed, at the price of two stats; None where only a query can
        tell, as just after a commit: another one might get the same time. Never raises.
        """
        if not self._sqlite or not self._url.database:
            return None
        main, log = _file_mark(self._url.database), _file_mark(f"{self._url.database}-wal")
        if main is None:
            return None
        written = max(main[0], log[0] if log else 0) / 1e9
        return (main, log) if time.time() - written > CLOCK_TICK_SECONDS else None

    def dispose(self) -> None:
        """Close every connection, those in use when they come back, and those that a later transaction opens too."""
        pool = self._engine.pool
        self._engine.dispose()
        for used in (pool, self._engine.pool):  # some thread may just be about to begin
            event.listen(used, "checkin", lambda _connection, record: record.invalidate())
            used.dispose()  # what came back before that

    def _ensure_migrated(self) -> None:
        if not self._migrated:
            self._migrate_once(self._failed)

    def _migrate_once(self, failed: int) -> None:
        """Migrate, unless another caller did meanwhile; `failed` is how many had failed when this one came."""
        with self._migrating:
            if self._migrated:
                return
            if (
                self._failed != failed
            ):  # another attempt would take as long, and one after the other ever longer
                raise StoreUnavailable(
                    "The control state's database has just failed another call that was waited for."
                )
            try:
                if self._sqlite and self._url.database:
                    _make_file(Path(self._url.database))
                _migrate(self._engine, lock=not self._sqlite)
            except BaseException:
                self._failed += 1
                raise
            self._migrated = True


def database_time(connection: Connection, clock: Callable[[], float]) -> float:
    """Return Unix time in seconds by the one clock that all hosts share: PostgreSQL's server's.

    SQLite has none but that of this host, `clock`; all who use it are on this host.
    """
    if connection.dialect.name == "sqlite":
        return clock()
    return float(connection.execute(_SERVER_TIME).scalar_one())


def commit(connection: Connection) -> None:
    """Commit what was written. Raises `CommitUnknown` where the server never answered: it may still be done."""
    try:
        connection.commit()
    except DBAPIError as error:
        if isinstance(error.orig, sqlite3.Error) or not _cut_short(error.orig):
            raise
        message = f"The control state's database failed ({described(error)}) at the commit."
        raise CommitUnknown(f"{message} Whether the change is in force is not known.") from error


def _cut_short(error: BaseException | None) -> bool:
    """Return whether PostgreSQL was gone, or was told to end, before it answered: it says no code, or one of those."""
    return (getattr(error, "sqlstate", None) or "08")[:2] in ("08", "57")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, PoolTimeout) as error:
        raise StoreUnavailable(f"The control state's database failed ({described(error)}).") from error


def _file_mark(path: str) -> FileMark | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _make_file(path: Path) -> None:
    """Make the file before SQLite does: its side files get the mode of this one."""
    try:
        private_files.make_file(path)
    except OSError as error:
        raise StoreUnavailable(f"The state file cannot be made ({described(error)}).") from error


def _normal_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise SettingsError(
            "The state URL cannot be read.", fix="Use sqlite:///file or postgresql://user@host/database."
        ) from error
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if parsed.query:
            # SQLAlchemy would warn of them by name, and SQLite takes some for what they are not.
            raise SettingsError(
                "The state URL of a SQLite file has options.",
                fix="Use sqlite:///file, with nothing after it.",
            )
        return parsed.set(drivername="sqlite+pysqlite")
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    raise SettingsError(
        "The state URL names a database that cannot keep the state.",
        fix="Use sqlite:///file or postgresql://user@host/database.",
    )


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": TIMEOUT_SECONDS}, pool_timeout=TIMEOUT_SECONDS)

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = (
            None  # BEGIN is ours: the driver's own comes too late for BEGIN IMMEDIATE
        )
        connection.execute("PRAGMA foreign_keys=ON")
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            # Another process is switching this new file to WAL right now. The mode belongs to the file, so it is
            # ours too in a moment; until then the old mode is only slower.
            logger.debug("journal_mode is being set by another process")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        durability = options.get("neuronode_write")
        if durability is None:
            connection.exec_driver_sql("BEGIN")
        else:
            patience = options.get("neuronode_patience", TIMEOUT_SECONDS)
            _set(connection, "busy_timeout", patience * 1000)
            _set(connection, "synchronous", durability)
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _set(connection: Connection, pragma: str, value: object) -> None:
    """Set what holds for a connection, unless it does: beside a busy event loop each statement waits for its turns."""
    if connection.info.get(pragma) != value:
        connection.exec_driver_sql(f"PRAGMA {pragma}={value}")
        connection.info[pragma] = value


def _postgres_engine(url: URL) -> Engine:
    import psycopg  # here, because with SQLite nobody should pay its memory

    class BoundedConnection(psycopg.Connection[Any]):
        """A connection whose every wait ends: the server's own time-outs do not help when the server is frozen."""

        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
            try:
                return super().wait(gen, interval, timeout or TIMEOUT_SECONDS)
            except psycopg.errors.OperationalError:
                self.pgconn.finish()  # else the rollback would wait for the same server again
                raise

    conninfo = url.set(drivername="postgresql").render_as_string(hide_password=False)
    milliseconds = TIMEOUT_SECONDS * 1000
    options = f"-c search_path={SCHEMA} -c statement_timeout={milliseconds} -c lock_timeout={milliseconds}"

    def connect() -> psycopg.Connection[Any]:
        return BoundedConnection.connect(conninfo, connect_timeout=TIMEOUT_SECONDS, options=options)

    return create_engine(
        url, creator=connect, pool_size=2, max_overflow=8, pool_timeout=TIMEOUT_SECONDS, pool_pre_ping=True
    )


def _migrate(engine: Engine, *, lock: bool) -> None:
    """Bring the schema to `HEAD_VERSION`; of several processes that start at once one does it, the others wait."""
    with engine.connect() as connection, connection.begin():
        if _usable(connection):
            return
    with engine.connect() as connection:
        connection = connection.execution_options(
            neuronode_write="FULL", neuronode_patience=MIGRATION_SECONDS
        )
        with connection.begin():
            if lock:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
                _enter_schema(connection)
            if _usable(connection):
                return
            if metadata.tables.keys() & set(inspect(connection).get_table_names()):
                _upgrade(connection)
            else:
                _create(connection)


def _create(connection: Connection) -> None:
    """Make the tables as all migrations would have made them."""
    metadata.create_all(connection, checkfirst=False)
    version.create(connection)
    for table, row in FIRST_ROWS:
        connection.execute(insert(table).values(row))


def _upgrade(connection: Connection) -> None:
    # Only now: Alembic costs 13 MB and half a second, and almost every start finds a schema that is new or up to date.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD_VERSION)
    connection.execute(update(reader).values(oldest=OLDEST_READER))


def _usable(connection: Connection) -> bool:
    """Return whether the schema is ours, or a newer one that allows for us. Raises `SchemaTooNew` for any other."""
    found = _version(connection)
    if found is None or found < HEAD_VERSION:
        return False
    if found > HEAD_VERSION and not _allows_us(connection):
        raise SchemaTooNew(f"The database has schema {found}, this release knows {HEAD_VERSION}.")
    return True


def _allows_us(connection: Connection) -> bool:
    if not inspect(connection).has_table(reader.name):
        return False
    oldest: str | None = connection.execute(select(reader.c.oldest)).scalar()
    return oldest is not None and oldest <= HEAD_VERSION


def _enter_schema(connection: Connection) -> None:
    """Have the schema, and in it the tables that an earlier release put into `public`."""
    # Asked first: one who may not create schemas is refused even where it is there.
    if connection.execute(text("SELECT to_regnamespace(:name)"), {"name": SCHEMA}).scalar() is None:
        connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
    if _version(connection) is None and inspect(connection).has_table(VERSION_TABLE, schema="public"):
        present = set(inspect(connection).get_table_names(schema="public"))
        for table in sorted(present & {VERSION_TABLE, *metadata.tables}):
            connection.execute(text(f'ALTER TABLE public."{table}" SET SCHEMA {SCHEMA}'))


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.execute(select(version.c.version_num)).scalar()
    return found
