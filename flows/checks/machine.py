"""Checks of the machine: installed packages, processors, the home's disk and permissions, the clock."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from evaluation.catalogue import Catalogue
from evaluation.leases import Leases
from flows.checks.check import Check
from flows.prefect_api import configured_api, server_time
from flows.settings import Settings
from indexing.files_in_use import bytes_in
from indexing.home import Home, LockedHomeError
from indexing.releases import current

_LEAST_FREE_GB = 5.0
_SHOWN = ("specmine", "prefect", "torch", "sentence-transformers", "qdrant-client", "qdrant-edge-py", "fastapi")
_MOST_SECONDS_APART = 5.0  # of two clocks: leases last a minute


def packages(settings: Settings) -> Iterator[Check]:
    """Compare the installed packages with what specmine was written for.

    With newer ones Prefect runs no flow, or no schedule, and says so in the server's log at most.
    """
    wrong = []
    for requirement in map(Requirement, requires("specmine") or []):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            wrong.append(f"{requirement.name} is not installed")
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            wrong.append(f"{requirement.name} {installed} is here, {requirement.specifier} is needed")
    if wrong:
        yield Check("versions", "failed", "; ".join(wrong), "python -m pip install -r requirements.lock")
    else:
        shown = ", ".join(f"{name} {version(name)}" for name in _SHOWN)
        yield Check("versions", "ok", f"python {sys.version.split()[0]}, {shown}")


def processors(settings: Settings) -> Iterator[Check]:
    """Tell how many processors there are, and how many threads a model takes."""
    threads = os.environ.get("OMP_NUM_THREADS", "as many as torch takes")
    yield Check("processors", "ok", f"{os.cpu_count()} processors, OMP_NUM_THREADS {threads}")


def permissions(settings: Settings) -> Iterator[Check]:
    """Look whether the home can be written, by this user alone, and whether a secret can be read by others."""
    home = settings.open_home()
    probe = home.reports / f"doctor-{uuid.uuid4().hex[:8]}.partial"
    quoted = shlex.quote(str(home.root))
    own = f"sudo chown -R {os.getuid()}:{os.getgid()} {quoted}"
    try:
        probe.write_bytes(b"specmine")
        probe.unlink()
    except OSError as error:
        message = f"{home.root} cannot be written: {error.strerror}; set SPECMINE_HOME elsewhere, or take it over"
        yield Check("home", "failed", message, own)
        return
    foreign = [path for path in sorted(home.root.iterdir()) if not os.access(path, os.R_OK | os.W_OK)]
    if foreign:
        names = ", ".join(path.name for path in foreign[:5])
        yield Check("home", "failed", f"{home.root}: {names} cannot be written by this user", own)
    elif home.root.stat().st_mode & stat.S_IWOTH:
        message = f"{home.root} can be written by every user of this machine"
        yield Check("home", "warning", message, f"chmod o-w {quoted}")
    else:
        yield Check("home", "ok", f"{home.root} can be written")
    if settings.file and _holds_secret(settings) and settings.file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        message = f"{settings.file} holds a key or a password, and others can read it"
        yield Check("secrets", "warning", message, f"chmod 600 {shlex.quote(str(settings.file))}")


def _holds_secret(settings: Settings) -> bool:
    """Tell whether the file itself, not the environment, holds a key or a database's password."""
    text = settings.file.read_text(encoding="utf-8") if settings.file else ""
    key = settings.qdrant.api_key.get_secret_value() if settings.qdrant.api_key else ""
    url = settings.catalogue.url or ""
    password = url.partition("://")[2].rpartition("@")[0].partition(":")[2]
    return any(secret and secret in text for secret in (key, password))


def disk(settings: Settings) -> Iterator[Check]:
    """Compare the free space with what a re-index takes: as much again as the served index."""
    home = settings.open_home()
    free = shutil.disk_usage(home.reports).free / 1e9
    release = current(home)
    index = bytes_in(home.generations / release.generation) / 1e9 if release else 0.0
    needed = max(_LEAST_FREE_GB, 2 * index)
    told = f"{free:.1f} GB free on the disk of {home.root}; the served index takes {index:.1f} GB"
    if free >= needed:
        yield Check("disk", "ok", told)
    else:
        yield Check("disk", "warning", f"{told}, a re-index builds another beside it: have {needed:.0f} GB free")


def writer(settings: Settings) -> Iterator[Check]:
    """Tell whether somebody writes at this moment."""
    home = settings.open_home()
    try:
        with Home(home.root).exclusive():  # the kernel's lock; the catalogue has a check of its own
            yield Check("writer", "ok", "nobody is writing")
    except LockedHomeError as error:
        yield Check("writer", "warning", str(error))


def clock(settings: Settings) -> Iterator[Check]:
    """Compare this machine's clock with those of the file system, the database and Prefect, and with the past."""
    home = settings.open_home()
    apart: dict[str, float] = {}
    probe = home.reports / f"doctor-{uuid.uuid4().hex[:8]}.partial"
    probe.touch()
    apart["the file system of the home"] = probe.stat().st_mtime - time.time()
    probe.unlink()
    with closing(Catalogue(settings.catalogue_url())) as book:
        apart["the catalogue"] = Leases(book, settings.runs.lease_seconds).now() - time.time()
    if url := configured_api():
        told = server_time(url)
        if told is not None:
            apart["the Prefect server"] = told - time.time()
    release = current(home)
    if release:
        apart["the served release"] = max(0.0, datetime.fromisoformat(release.created).timestamp() - time.time())
    wrong = [f"{name} by {seconds:+.0f} s" for name, seconds in apart.items() if abs(seconds) > _MOST_SECONDS_APART]
    if wrong:
        message = f"this machine's clock differs from {', '.join(wrong)}: schedules and leases go wrong"
        yield Check("clock", "failed", message, "sudo timedatectl set-ntp true")
    else:
        yield Check("clock", "ok", f"agrees with {', '.join(apart)}")


def configuration(settings: Settings) -> Iterator[Check]:
    """Tell which configuration counts."""
    found = str(settings.file) if settings.file else "no specmine.toml here: the defaults are used"
    yield Check("configuration", "ok", found)
