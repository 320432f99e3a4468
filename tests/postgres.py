"""A private PostgreSQL server for the tests, made from the machine's own programs."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from glob import glob
from pathlib import Path
from uuid import uuid4

PLACES = ("/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin")


def programs() -> Path | None:
    """The folder with initdb and pg_ctl, the newest first; None if there is none."""
    found = shutil.which("pg_ctl")
    folders = [Path(found).parent] if found else []
    folders += [Path(place) for pattern in PLACES for place in sorted(glob(pattern), reverse=True)]
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "pg_ctl").exists()), None)


class Server:
    """A server on a socket in a folder of its own; nothing listens on the network. `database()` makes an empty one."""

    def __init__(self, folder: Path, durable: bool = False):
        self.durable = durable  # a test needs no fsync: it survives its server
        self.bin = folder
        # a socket's path may have 107 bytes, and whom PostgreSQL runs as must get there: see in_memory.sh
        place = tempfile.gettempdir() if tempfile.gettempdir().startswith("/dev/shm/") else "/tmp"
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir=place))
        self.user: str | None = None
        if os.geteuid() == 0:  # which PostgreSQL refuses to run as
            names = {entry.pw_name for entry in pwd.getpwall()}
            self.user = next(name for name in ("postgres", "nobody") if name in names)
            shutil.chown(self.folder, self.user)
        self._run("initdb", "-D", self.data, "-A", "trust", "-U", "tests", "--no-sync", "-E", "UTF8")
        self.start()

    @property
    def data(self) -> str:
        return str(self.folder / "data")

    def database(self) -> str:
        """The URL of an empty one: a schema of its own, which takes a hundredth of a database's files."""
        import psycopg

        name = f"test_{uuid4().hex}"
        with psycopg.connect(host=str(self.folder), user="tests", dbname="postgres") as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"postgresql://tests@/postgres?host={self.folder}&options=-csearch_path%3D{name}"

    def start(self) -> None:
        fsync = "on" if self.durable else "off"
        options = f"-k {self.folder} -c listen_addresses='' -c max_connections=100 -c fsync={fsync}"
        self._run("pg_ctl", "-D", self.data, "-o", options, "-l", str(self.folder / "log"), "-w", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self.bin / program, *arguments],
            user=self.user,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # the server inherits them: a pipe would never end
            stderr=subprocess.DEVNULL,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed with status {done.returncode}: see {self.folder / 'log'}")
