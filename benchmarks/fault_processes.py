"""Processes that begin with everything imported, and are killed: at an instant, or at one of their changes to files.

A process of its own for each run, forked from this one, which only imports and never computes: torch and the models
are not loaded anew by each, and nothing of one run reaches the next.
"""

from __future__ import annotations

import faulthandler
import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Tell = Callable[[str, int, int], None]
LONGEST_SECONDS = 300.0
_CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "os.symlink"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


@dataclass(frozen=True)
class Kill:
    """When a process is killed.

    ``seconds`` after its part ``part`` began (what it tells of its progress begins a part; "" is its start), or, where
    ``change`` is given, just before its change to files of this number, from 1. ``group`` kills its reader processes
    as well; else these are orphans for a moment, as after ``kill -9 PID``.
    """

    part: str = ""
    seconds: float = 0.0
    change: int = 0
    group: bool = True

    def __str__(self) -> str:
        who = "all" if self.group else "alone"
        return f"change {self.change}" if self.change else f"{self.part or 'start'} +{self.seconds:.2f} s, {who}"


@dataclass
class Ended:
    """How a process ended: ``killed``, or it ``answered`` with what it returned or an ``error``.

    ``parts`` are the parts it told of with the seconds each took; ``changes`` how often it changed files, counted only
    where that was asked for.
    """

    killed: bool = False
    answered: bool = False
    returned: Any = None
    error: str = ""
    seconds: float = 0.0
    parts: dict[str, float] = field(default_factory=dict)
    changes: int = 0


class Running:
    """A process of its own that does ``work``, whose result must be JSON-able; ``log`` takes what it prints."""

    def __init__(self, work: Callable[[Tell], Any], log: Path, kill: Kill | None = None, count: bool = False) -> None:
        self.reading, writing = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            os.close(self.reading)
            _child(work, log, writing, kill.change if kill else 0, count)
        os.close(writing)
        self.ended, self.over = Ended(), False
        self._kill, self._buffer = kill, b""
        self._started = self._began = time.monotonic()
        self._deadline = self._due("")
        self.part = ""

    def attend(self, ready: bool) -> None:
        """Read what the process tells, where something is ``ready``; kill it, if its time has come."""
        now = time.monotonic()
        if self._deadline is not None and now >= self._deadline:
            _kill(self.process, self._kill is None or self._kill.group)
            self._end()
        elif now - self._started > LONGEST_SECONDS:
            self.ended.error = f"did not end in {LONGEST_SECONDS:.0f} s"
            _kill(self.process, group=True)
            self._end()
        elif ready:
            received = os.read(self.reading, 1 << 16)
            *lines, self._buffer = (self._buffer + received).split(b"\n")
            for line in lines:
                self._take(json.loads(line))
            if not received:
                self._end()

    def seconds_left(self) -> float:
        """Return how long to wait for the process to tell something."""
        return 5.0 if self._deadline is None else max(0.0, min(5.0, self._deadline - time.monotonic()))

    def _due(self, part: str) -> float | None:
        kill = self._kill
        return self._began + kill.seconds if kill and not kill.change and kill.part == part else None

    def _take(self, message: dict[str, Any]) -> None:
        ended, now = self.ended, time.monotonic()
        if "part" in message:
            self._close_part(now)
            self.part, self._began = message["part"], now
            self._deadline = self._deadline or self._due(self.part)
        else:
            ended.answered, ended.returned, ended.error = True, message.get("returned"), message.get("error", "")
            ended.changes, self._deadline = message["changes"], None

    def _close_part(self, now: float) -> None:
        self.ended.parts[self.part] = self.ended.parts.get(self.part, 0.0) + now - self._began

    def _end(self) -> None:
        now = time.monotonic()
        self._close_part(now)
        os.close(self.reading)
        _, status = os.waitpid(self.process, 0)
        ended, self.over = self.ended, True
        ended.seconds = now - self._started
        if not ended.answered and not ended.error:
            ended.killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
            ended.error = "" if ended.killed else f"ended with status {status}"


def run(work: Callable[[Tell], Any], log: Path, kill: Kill | None = None, count: bool = False) -> Ended:
    """Run ``work`` in a process of its own to its end, or to that of its life."""
    running = Running(work, log, kill, count)
    _watch([running], lambda: running.over)
    return running.ended


def run_beside(
    first: Callable[[Tell], Any], part: str, second: Callable[[Tell], Any], log: Path
) -> tuple[Ended, Ended | None]:
    """Run ``first``, and ``second`` once the first has told of ``part``; None where it never did."""
    one = Running(first, log)
    _watch([one], lambda: one.over or one.part == part)
    if one.over:
        return one.ended, None
    both = [one, Running(second, log)]
    _watch(both, lambda: all(running.over for running in both))
    return both[0].ended, both[1].ended


def _watch(running: list[Running], enough: Callable[[], bool]) -> None:
    while not enough():
        alive = [one for one in running if not one.over]
        ready, _, _ = select.select([one.reading for one in alive], [], [], min(one.seconds_left() for one in alive))
        for one in alive:
            one.attend(one.reading in ready)


def _kill(process: int, group: bool) -> None:
    try:
        os.killpg(process, signal.SIGKILL) if group else os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        try:  # it has no group of its own yet
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            return


def _child(work: Callable[[Tell], Any], log: Path, writing: int, kill_at: int, count: bool) -> None:
    """Do the work and never return."""
    status = 1
    try:
        os.setpgid(0, 0)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        faulthandler.enable()  # a signal that ends it leaves its traceback in the log
        changes = _count_changes(kill_at) if count or kill_at else [0]
        said = [""]

        def tell(stage: str, done: int, total: int) -> None:
            if stage != said[0]:
                said[0] = stage
                _send(writing, {"part": stage})
            if done >= total and said[0] != f"after {stage}":
                said[0] = f"after {stage}"
                _send(writing, {"part": said[0]})

        try:
            answer = {"returned": work(tell)}
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        _send(writing, {**answer, "changes": changes[0]})
        status = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _send(writing: int, message: dict[str, Any]) -> None:
    os.write(writing, json.dumps(message).encode() + b"\n")


def _count_changes(kill_at: int) -> list[int]:
    """Count the changes this process makes to files by Python, and die just before that of number ``kill_at``."""
    number = [0]

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _CHANGES and not (event == "open" and _writes(arguments)):
            return
        number[0] += 1
        if number[0] == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)
    return number


def _writes(arguments: tuple[Any, ...]) -> bool:
    path, _, flags = arguments
    return isinstance(path, str | bytes) and isinstance(flags, int) and bool(flags & _WRITING)
