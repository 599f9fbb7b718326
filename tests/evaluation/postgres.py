"""A PostgreSQL server of the tests' own: in a folder of its own, on a socket there, gone when the tests end."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_NEEDED = ("initdb", "postgres", "createdb")


def programs() -> Path | None:
    """Return the folder of PostgreSQL's server programs, the newest version's; None where they are not installed."""
    versions = Path("/usr/lib/postgresql").glob("*/bin")  # where Debian puts them, which is on nobody's PATH
    folders = sorted(versions, key=lambda folder: int(folder.parent.name), reverse=True)
    on_path = shutil.which("initdb")
    folders += [Path(on_path).parent] if on_path else []
    return next((folder for folder in folders if all((folder / name).exists() for name in _NEEDED)), None)


@contextmanager
def server(bin_folder: Path) -> Iterator[str]:
    """Run a server; yield the URL of an empty database. It refuses to be root's, so that root lends it a user."""
    with tempfile.TemporaryDirectory(prefix="specmine-postgres-") as name:
        folder = Path(name)
        user: dict[str, Any] = {}
        if os.getuid() == 0:
            entry = _lent()
            os.chown(folder, entry.pw_uid, entry.pw_gid)
            user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        quiet: dict[str, Any] = {"check": True, "capture_output": True, "cwd": folder, **user}
        options = ["--username=specmine", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        subprocess.run([bin_folder / "initdb", *options, "--pgdata", folder / "data"], **quiet)
        settings = {"listen_addresses": "", "unix_socket_directories": str(folder), "fsync": "off"}
        log = (folder / "log").open("wb")
        serving = subprocess.Popen(
            [bin_folder / "postgres", "-D", folder / "data", *(f"--{key}={value}" for key, value in settings.items())],
            stdout=log,
            stderr=log,
            cwd=folder,
            **user,
        )
        try:
            _until_it_answers(bin_folder, folder, serving, quiet)
            yield f"postgresql+psycopg://specmine@/catalogue?host={folder}"
        finally:
            serving.send_signal(signal.SIGINT)  # ends connections too; SIGTERM waits for them
            try:
                serving.wait(20)
            except subprocess.TimeoutExpired:
                serving.kill()
                serving.wait()
            log.close()


def _lent() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _until_it_answers(bin_folder: Path, folder: Path, serving: subprocess.Popen[bytes], quiet: dict[str, Any]) -> None:
    deadline = time.monotonic() + 60
    while True:
        made = subprocess.run(
            [bin_folder / "createdb", f"--host={folder}", "--username=specmine", "catalogue"],
            **{**quiet, "check": False},
        )
        if made.returncode == 0:
            return
        if serving.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL did not start: {(folder / 'log').read_text(errors='replace')[-500:]}")
        time.sleep(0.2)
