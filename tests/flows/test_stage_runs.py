"""Runs of stages with real processes: a killed one is logged as crashed, a writer that slept cannot publish."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from evaluation.catalogue import Catalogue
from evaluation.leases import Leases
from flows.settings import Settings, load_settings
from flows.stage_runs import logged
from flows.writer_lease import WriterLease
from indexing import room
from indexing.home import Home, LockedHomeError, SpecmineError
from indexing.releases import Fusion, Release, current, publish

RELEASE = Release("g", 1, {}, Fusion("soft", {}))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    file = tmp_path / "specmine.toml"
    file.write_text('home = "home"\n[runs]\nlease_seconds = 15\n', encoding="utf-8")
    return load_settings(file)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Run Python code on the configuration of ``settings``; it has begun when it has printed a line."""
    started = []

    def start(code: str) -> subprocess.Popen[str]:
        head = "import sys, time\nfrom pathlib import Path\nfrom flows.settings import load_settings\n"
        head += "from indexing.releases import *\nsettings = load_settings(Path(sys.argv[1]))\n"
        process = subprocess.Popen(
            [sys.executable, "-c", head + textwrap.dedent(code), str(tmp_path / "specmine.toml")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout and process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@contextmanager
def book_of(settings: Settings) -> Iterator[Catalogue]:
    with closing(Catalogue(settings.catalogue_url())) as book:
        yield book


def test_a_killed_run_is_logged_by_the_next_one(
    settings: Settings, run: Callable[[str], subprocess.Popen[str]]
) -> None:
    process = run("""
        from flows.stage_runs import logged
        with logged(settings, "mine"):
            print("ready", flush=True)
            time.sleep(600)
    """)
    with logged(settings, "evaluate"):
        pass  # the other one is alive: nothing is said of it
    with book_of(settings) as book:
        assert [(entry.stage, entry.status) for entry in book.last_runs()] == [("evaluate", "completed")]
        assert [lease.stage for lease in Leases(book).held()] == ["mine"]
    process.send_signal(signal.SIGKILL)
    process.wait()
    with pytest.raises(ValueError, match="a bug"), logged(settings, "evaluate"):
        raise ValueError("a bug")
    with book_of(settings) as book:
        assert sorted((entry.stage, entry.status) for entry in book.last_runs()) == [
            ("evaluate", "completed"),
            ("evaluate", "failed"),
            ("mine", "crashed"),
        ]
        assert Leases(book).held() == []


def test_nothing_is_begun_on_a_full_disk(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room.shutil, "disk_usage", lambda folder: SimpleNamespace(free=room.RESERVE - 1))
    with pytest.raises(SpecmineError, match="the disk is full"), logged(settings, "mine"):
        raise AssertionError("it was begun")
    assert not (settings.open_home().root / "catalogue.sqlite").exists()


def test_a_writer_that_slept_through_its_lease_publishes_nothing(
    settings: Settings, run: Callable[[str], subprocess.Popen[str]]
) -> None:
    # It holds the lease alone, as on another machine, where the kernel's lock of this one does not count.
    process = run("""
        from flows.writer_lease import WriterLease
        from indexing.home import Home, LockedHomeError
        home = Home(settings.open_home().root)
        lease = WriterLease(home, None, 1.0)
        with lease.held():
            print("ready", flush=True)
            sys.stdin.readline()
            try:
                publish(Home(home.root, lease), Release("late", 1, {}, Fusion("soft", {})))
            except LockedHomeError as error:
                print(error, flush=True)
    """)
    home = settings.open_home()
    with pytest.raises(LockedHomeError, match=f"index writer, process {process.pid} on"), home.exclusive():
        raise AssertionError("two writers")
    process.send_signal(signal.SIGSTOP)
    time.sleep(1.2)
    with home.exclusive():
        assert publish(home, RELEASE).id == "r0001"
        process.send_signal(signal.SIGCONT)
        said = process.communicate("go on\n", timeout=60)[0]
        assert "nothing was published" in said and "its place was taken over: index writer, process" in said
    release = current(home)
    assert release is not None and (release.id, release.generation) == ("r0001", "g")


def test_only_the_holder_publishes_and_other_processes_get_no_lease(settings: Settings) -> None:
    home = settings.open_home()
    with pytest.raises(RuntimeError, match="holder of the home's lock"):
        publish(home, RELEASE)
    assert isinstance(home.lease, WriterLease)
    with home.exclusive():
        copy = pickle.loads(pickle.dumps(home))
        assert copy == home
        with pytest.raises(RuntimeError):
            publish(copy, RELEASE)
        publish(home, RELEASE)
    assert publish(Home(home.root), RELEASE).id == "r0002"  # a home of its own, without a catalogue
