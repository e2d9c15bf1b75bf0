"""Where trials are kept: a database or a journal file of Optuna; its errors in words."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import optuna
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from .._check import shown

DATABASE, JOURNAL = (".db", ".sqlite", ".sqlite3"), (".log", ".journal")
WAIT = 60  # seconds for which a process waits for others to finish writing to an SQLite file
TRIES = 10  # to open a database in which another process is making the tables
AT_ONCE = ("already exists", "duplicate key", "UNIQUE constraint")  # its errors
FORMS = '"search.db" (SQLite), "search.log" (journal file) or "postgresql://user@host/name"'


def open_storage(given: Any) -> BaseStorage:
    """Return the storage of Optuna that is meant by a path, a URL or a storage.

    Raises
    ------
    TypeError, ValueError
        If it names none, or what is there was not made by this version of Optuna.
    ImportError
        If the driver of the database is not installed.
    OSError
        If the database cannot be opened.
    """
    if given is None:
        return InMemoryStorage()
    if isinstance(given, BaseStorage):
        return given
    if not isinstance(given, (str, os.PathLike)):
        raise TypeError(f"storage must be {FORMS}, got {shown(given)}")
    text = os.fspath(given)
    if "://" not in text:
        path = Path(text)
        if path.suffix not in DATABASE + JOURNAL:
            raise ValueError(f"storage must be {FORMS}, got {text!r}")
        if not path.parent.is_dir():
            raise FileNotFoundError(f"storage must be in a folder that exists, got {text!r}")
        if path.suffix in JOURNAL:
            with in_words(name_of(given)):
                return JournalStorage(JournalFileBackend(str(path), lock_obj=lock_of(path)))
        text = f"sqlite:///{path}"
    settings: dict[str, Any] = {"pool_pre_ping": True}
    if text.startswith("sqlite"):
        settings["connect_args"] = {"timeout": WAIT}
    with in_words(name_of(given)):
        storage = database(with_driver(text), settings)
        if text.startswith("sqlite"):
            begin_by_writing(storage)
        return storage


def database(url: str, settings: dict[str, Any]) -> RDBStorage:
    """Open a database; where several searches begin at once, only one of them makes the tables."""
    from sqlalchemy.exc import SQLAlchemyError

    for tries in range(TRIES):
        try:
            return RDBStorage(url, engine_kwargs=settings)
        except SQLAlchemyError as error:
            told = str(error)
            if tries == TRIES - 1 or not any(each in told for each in AT_ONCE):
                raise
            time.sleep(0.1 * (tries + 1))
    raise AssertionError


def begin_by_writing(storage: RDBStorage) -> None:
    """Let a transaction of SQLite hold the file from its beginning, not from its first change.

    Optuna reads that a trial waits, then writes that it runs. Other databases lock the row between
    the two; in SQLite two processes could both read it, and run the same trial.
    """
    from sqlalchemy import event

    engine = storage.engine
    # the driver would begin a transaction itself, at the first change
    event.listen(engine, "connect", lambda made, _: setattr(made, "isolation_level", None))
    event.listen(engine, "begin", lambda made: made.exec_driver_sql("BEGIN IMMEDIATE"))
    engine.dispose()  # connections from before


def with_driver(url: str) -> str:
    """Return the URL of a PostgreSQL database with the driver that is installed."""
    scheme, _, rest = url.partition("://")
    if scheme not in ("postgresql", "postgres"):
        return url
    for driver in ("psycopg2", "psycopg"):
        if find_spec(driver):
            return f"postgresql+{driver}://{rest}"
    raise ImportError("a driver of PostgreSQL is missing", name="psycopg2")


def name_of(given: Any) -> str:
    """Return a storage for a message, without the password of a URL."""
    return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:***@", str(given))


def absolute(given: Any) -> Any:
    """Return a storage that also a process in another folder opens."""
    if isinstance(given, (str, os.PathLike)) and "://" not in os.fspath(given):
        return str(Path(given).expanduser().absolute())
    return given


@contextlib.contextmanager
def in_words(name: str) -> Iterator[None]:
    """Say in words what is wrong with a storage, in place of errors of databases."""
    from sqlalchemy.exc import SQLAlchemyError

    version = optuna.__version__
    try:
        yield
    except ImportError as error:
        driver = getattr(error.__cause__, "name", None) or getattr(error, "name", None)
        package = {"psycopg2": "psycopg2-binary"}.get(driver or "", driver)
        raise ImportError(
            f"storage {name!r} needs the driver of its database: pip install {package}"
        ) from error
    except RuntimeError as error:
        if "schema" not in str(error):
            raise
        raise ValueError(
            f"storage {name!r} was written by another version of Optuna than {version}: "
            f"{str(error).strip()} Or give another storage"
        ) from error
    except SQLAlchemyError as error:
        first = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        if "not a database" in first or "malformed" in first:
            raise ValueError(f"storage {name!r} is no SQLite database: {first}") from error
        if "no such" in first or ("does not exist" in first and "relation" in first):
            raise ValueError(
                f"storage {name!r} is a database that Optuna {version} cannot read: {first}"
            ) from error
        raise OSError(f"storage {name!r} cannot be opened: {first}") from error
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        foreign = not isinstance(error, ValueError) or "Decode" in type(error).__name__
        if foreign or "log format" in str(error):
            raise ValueError(
                f"storage {name!r} is no journal that Optuna {version} can read: {error!r}"
            ) from error
        raise


class FileLock:
    """A lock that the system takes back from a process that was killed.

    Those of Optuna are files, which a killed process leaves behind: all others wait for 30 s.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held: IO[bytes] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_held": None}

    def acquire(self) -> bool:
        """Wait until no other process writes; complete what a killed one has left."""
        import fcntl

        held = self.path.with_name(f"{self.path.name}.lock").open("ab")
        fcntl.flock(held, fcntl.LOCK_EX)
        self._held = held
        remove_half_line(self.path)
        return True

    def release(self) -> None:
        """Let others write."""
        if self._held is not None:
            self._held.close()  # ends the lock, too
            self._held = None


def lock_of(path: Path) -> Any:
    """Return the lock for a journal."""
    return FileLock(path) if find_spec("fcntl") else JournalFileSymlinkLock(str(path))


def remove_half_line(path: Path) -> None:
    """Remove a last line without an end, of a process that was killed while it wrote."""
    with contextlib.suppress(FileNotFoundError), path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        back = min(size, 2**16)
        while size:
            file.seek(size - back)
            tail = file.read(back)
            if tail.endswith(b"\n"):
                return
            end = tail.rfind(b"\n")
            if end >= 0 or back == size:
                file.truncate(size - back + end + 1)
                return
            back = min(size, 2 * back)
