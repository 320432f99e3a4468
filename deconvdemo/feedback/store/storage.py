"""The open feedback of a data folder: its rows' database and its images' folder, and transactions on them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, select, update

from deconvdemo.feedback.store.blobs import Blobs, LocalBlobs, RemoteBlobs, make_folder, sync
from deconvdemo.feedback.store.database import open_database, sqlite_url
from deconvdemo.feedback.store.folder import Place, require_same_folder
from deconvdemo.feedback.store.ledger import count
from deconvdemo.feedback.store.tables import blobs


class Storage:
    """Where rows and images lie. Making one touches nothing; all is opened, or made, at the first use."""

    def __init__(self, data_dir: Path, database_url: str = "", blobs_url: str = ""):
        self.folder = Path(data_dir).absolute() / "feedback"
        self.blobs: Blobs = RemoteBlobs(blobs_url) if blobs_url else LocalBlobs(self.folder / "blobs")
        self.database_url = database_url  # "": a SQLite file in the folder
        self._database: Engine | None = None
        self._place = Place()  # what must stay where it was when the database was opened
        self._opening = threading.Lock()
        self._writing = threading.Lock()  # fair among threads; SQLite's own lock lets the luckiest retry win

    def engine(self) -> Engine:
        """The open database. OSError if its folder was taken away since: what is open still would answer for it."""
        with self._opening:
            if self._database is not None:
                self._place.require()
            else:
                make_folder(self.folder)
                self.blobs.open()
                database = open_database(self.database_url or sqlite_url(self.folder / "feedback.sqlite3"))
                if self.database_url and isinstance(self.blobs, LocalBlobs):
                    require_same_folder(database, self.folder)
                sync(self.folder)
                self._measure_old_blobs(database)
                self._place, self._database = self._found_place(database), database
            return self._database

    def reading(self):
        """A transaction that only reads."""
        return self.engine().begin()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that commits at its end. In SQLite nobody else writes meanwhile."""
        writer = self.engine().execution_options(write=True)
        with self._writing, writer.begin() as connection:
            yield connection

    def close(self) -> None:
        """Lets the database go; a later call opens it again."""
        with self._opening:
            if self._database is not None:
                self._database.dispose()
                self._database = None

    def _found_place(self, database: Engine) -> Place:
        own = database.url.database if database.dialect.name == "sqlite" else None
        folder = self.blobs.incoming if isinstance(self.blobs, LocalBlobs) else None
        return Place(Path(own).absolute() if own and not own.startswith((":", "file:")) else None, folder)

    def _measure_old_blobs(self, engine: Engine) -> None:
        """Once after a migration: version 1 did not write down how large its images are."""
        unmeasured = select(blobs.c.name).where(blobs.c.bytes < 0)
        with engine.begin() as connection:
            if connection.execute(unmeasured.limit(1)).first() is None:
                return
        with engine.execution_options(write=True).begin() as connection:
            for name in connection.execute(unmeasured).scalars().all():
                size = self.blobs.size(name)
                measured = update(blobs).where(blobs.c.name == name, blobs.c.bytes < 0).values(bytes=size)
                if connection.execute(measured).rowcount:
                    count(connection, "bytes", size)
