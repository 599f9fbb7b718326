"""Leases: never two holders, a stale token is refused, a dead holder is recognised. On SQLite and PostgreSQL."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from evaluation.catalogue import Catalogue
from evaluation.leases import Lease, LeaseError, Leases
from evaluation.processes import Process, is_gone, this_process

ELSEWHERE = Process("another machine", "1:1")  # nobody here can tell whether it still runs


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_lease_is_held_by_one_and_free_again_when_given_back(catalogue: Catalogue) -> None:
    clock = Clock()
    here, there = Leases(catalogue, 60, clock), Leases(catalogue, 60, clock, ELSEWHERE)
    lease = here.take("writer", "ingest", "run 7")
    assert (lease.token, lease.since, lease.expires, lease.flow_run) == (1, 1e6, 1e6 + 60, "run 7")
    assert here.held() == [lease]
    with pytest.raises(LeaseError, match=f"ingest, process {os.getpid()} on .*, since 1970-01-12T13:46:40"):
        there.take("writer", "reindex")
    assert there.take("another name", "mine").token == 1
    here.give_back(lease)
    assert there.take("writer", "reindex").token == 2
    with pytest.raises(LeaseError, match="taken over: reindex, process 1 on another"):
        here.renew(lease)
    here.give_back(lease)  # no longer its own: nothing happens
    assert [held.stage for held in here.held()] == ["mine", "reindex"]


def test_a_holder_without_a_sign_of_life_is_taken_over_and_refused(catalogue: Catalogue) -> None:
    clock = Clock()
    there, here = Leases(catalogue, 60, clock, ELSEWHERE), Leases(catalogue, 60, clock)
    lease = there.take("writer", "ingest")
    clock.now += 59
    lease = there.renew(lease)
    clock.now += 59.9
    with pytest.raises(LeaseError):
        here.take("writer", "reindex")
    assert here.dead() == []
    clock.now += 0.1
    assert [dead.token for dead in here.dead()] == [1]
    with there.fenced(lease):  # late, but nobody took its place: it goes on
        pass
    clock.now += 60
    assert here.take("writer", "reindex").token == 2
    with pytest.raises(LeaseError, match="taken over: reindex"), there.fenced(lease):
        raise AssertionError("published over another writer")


def test_a_clock_set_back_leaves_no_lease_for_ever(catalogue: Catalogue) -> None:
    clock = Clock()
    there, here = Leases(catalogue, 60, clock, ELSEWHERE), Leases(catalogue, 60, clock)
    there.take("writer", "ingest")
    clock.now -= 3600
    assert here.take("writer", "ingest").token == 2


def test_the_database_clock_is_the_time(catalogue: Catalogue) -> None:
    lease = Leases(catalogue).take("writer", "ingest")
    assert abs(lease.since - time.time()) < 5
    assert lease.expires == lease.since + 60


def test_a_crashed_run_is_logged_once(catalogue: Catalogue) -> None:
    clock = Clock()
    there, here = Leases(catalogue, 60, clock, ELSEWHERE), Leases(catalogue, 60, clock)
    there.take_run("a", "mine", "flow run 1")
    ended = there.take_run("b", "retrain")
    there.give_back(ended)
    clock.now += 40
    living = here.take_run("c", "evaluate")
    clock.now += 20
    assert [lease.flow_run for lease in here.end_dead_runs()] == ["flow run 1"]
    assert here.end_dead_runs() == []
    assert here.held() == [living]
    (run,) = catalogue.last_runs()
    assert (run.stage, run.status, run.started, run.seconds) == ("mine", "crashed", "1970-01-12T13:46:40.000Z", 0)
    assert run.summary["flow_run"] == "flow run 1"


def test_many_that_want_it_at_once_are_one_holder(url: str) -> None:
    Catalogue(url).close()
    taken: list[Lease] = []
    ready = threading.Barrier(8)

    def want() -> None:
        with closing(Catalogue(url, wait=30)) as book:
            leases = Leases(book, me=ELSEWHERE)
            ready.wait()
            with suppress(LeaseError):
                taken.append(leases.take("writer", "ingest"))

    threads = [threading.Thread(target=want) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [lease.token for lease in taken] == [1]


def test_nobody_takes_over_while_the_holder_publishes(url: str) -> None:
    clock = Clock()
    order: list[str] = []

    def take_over() -> None:
        with closing(Catalogue(url, wait=30)) as book, pytest.raises(LeaseError):
            Leases(book, 60, clock).take("writer", "reindex")
        order.append("refused")

    with closing(Catalogue(url)) as book:
        there = Leases(book, 60, clock, ELSEWHERE)
        lease = there.take("writer", "ingest")
        clock.now += 61  # expired, and nobody noticed yet
        thread = threading.Thread(target=take_over)
        with there.fenced(lease):
            thread.start()
            thread.join(0.5)
            order.append("published")
        thread.join()
    assert order == ["published", "refused"]


class Contest(RuleBasedStateMachine):
    """Machines take, renew, publish, give back and forget one lease, while the clock goes, and jumps."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.book = Catalogue(f"sqlite:///{self.folder.name}/catalogue.sqlite")
        self.clock = Clock()
        self.machines = [Leases(self.book, 60, self.clock, Process(f"m{n}", "1:1")) for n in range(3)]
        self.had: list[list[Lease]] = [[], [], []]
        self.holder: tuple[int, Lease] | None = None  # who holds it by the rules, and until when
        self.tokens = itertools.count(1)

    def teardown(self) -> None:
        self.book.close()
        self.folder.cleanup()

    @rule(seconds=st.floats(0, 130))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(seconds=st.floats(0.1, 400))
    def clock_is_set_back(self, seconds: float) -> None:
        self.clock.now -= seconds

    @rule(machine=st.integers(0, 2))
    def take(self, machine: int) -> None:
        free = self.holder is None or not self.clock.now < self.holder[1].expires <= self.clock.now + 60
        if not free:
            with pytest.raises(LeaseError):
                self.machines[machine].take("writer", "ingest")
            return
        lease = self.machines[machine].take("writer", "ingest")
        assert lease.token == next(self.tokens)
        self.had[machine].append(lease)
        self.holder = (machine, lease)

    @precondition(lambda self: self.holder)
    @rule()
    def renew(self) -> None:
        assert self.holder
        machine, lease = self.holder
        self.holder = (machine, self.machines[machine].renew(lease))
        assert self.holder[1].expires == self.clock.now + 60

    @precondition(lambda self: self.holder)
    @rule()
    def give_back(self) -> None:
        assert self.holder
        machine, lease = self.holder
        self.machines[machine].give_back(lease)
        self.holder = None

    @invariant()
    def only_the_last_holder_publishes(self) -> None:
        published = []
        for machine, leases in enumerate(self.had):
            for lease in leases[-2:]:
                try:
                    with self.machines[machine].fenced(lease):
                        published.append(lease.token)
                except LeaseError:
                    pass
        assert published == ([self.holder[1].token] if self.holder else [])
        if self.holder:  # publishing is a sign of life
            machine, lease = self.holder
            self.holder = (machine, self.machines[machine].renew(lease))

    @invariant()
    def what_was_given_back_is_not_held(self) -> None:
        assert [lease.token for lease in self.machines[0].held()] == ([self.holder[1].token] if self.holder else [])


TestContest = Contest.TestCase
TestContest.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)


# Real processes


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Start Python on ``code``, and return when it has printed a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout and process.stdout.readline().strip() == "ready"
    return process


TAKE = """
    import sys, time
    from evaluation.catalogue import Catalogue
    from evaluation.leases import Leases
    leases = Leases(Catalogue(sys.argv[1]))
    with leases.kept(leases.take("writer", "ingest")), leases.kept(leases.take_run("a", "ingest", "flow run 1")):
        print("ready", flush=True)
        time.sleep(600)
"""


def test_a_killed_holder_is_taken_over_at_once_on_its_machine(catalogue: Catalogue, url: str) -> None:
    process = start(TAKE, sa.make_url(url).render_as_string(hide_password=False))
    try:
        leases = Leases(catalogue)
        with pytest.raises(LeaseError, match=f"process {process.pid} on"):
            leases.take("writer", "reindex")
        assert leases.end_dead_runs() == []
        process.send_signal(signal.SIGKILL)
        time.sleep(0.2)
        # Nobody has waited for it yet: a dead process that its parent does not ask after is dead all the same.
        assert leases.take("writer", "reindex").token == 2
        assert [lease.flow_run for lease in leases.end_dead_runs()] == ["flow run 1"]
        assert [run.status for run in catalogue.last_runs()] == ["crashed"]
    finally:
        process.kill()
        process.wait()


def test_a_lease_is_kept_while_the_block_runs(catalogue: Catalogue) -> None:
    keeper, other = Leases(catalogue, 1.0, me=ELSEWHERE), Leases(catalogue, 1.0)
    lease = keeper.take("writer", "ingest")
    with keeper.kept(lease):
        time.sleep(2.5)
        with pytest.raises(LeaseError):
            other.take("writer", "reindex")
    assert other.take("writer", "reindex").token == 2


def test_processes_are_told_apart() -> None:
    me = this_process()
    number, _, started = me.process.partition(":")
    assert int(number) == os.getpid()
    assert not is_gone(me)
    if not Path("/proc/self/stat").exists():
        pytest.skip("only Linux tells when a process has started")
    assert is_gone(Process(me.host, f"{number}:{int(started) + 1}"))  # the number was given again
    assert is_gone(Process(me.host, "99999999:1"))
    assert not is_gone(Process("another machine", f"{number}:1"))
