"""Parts of a stage as tasks: the same index whoever does them, and what comes of a worker that dies or hangs."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from flows.run_settings import RunSettings
from flows.settings import load_settings
from indexing.home import SpecmineError
from indexing.search import Searcher

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect")]
needs_dask = pytest.mark.skipif(find_spec("prefect_dask") is None, reason="prefect-dask is not installed")


def squares(parts: Sequence[int], tell: Callable[[int], None]) -> Iterator[tuple[int, int]]:
    for number, part in enumerate(parts, start=1):
        yield part * part, os.getpid()
        tell(number)


def killed_once(parts: Sequence[Path], tell: Callable[[int], None]) -> Iterator[int]:
    for flag in parts:
        if not flag.exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield os.getpid()
        tell(1)


def killed_always(parts: Sequence[int], tell: Callable[[int], None]) -> Iterator[int]:
    os.kill(os.getpid(), signal.SIGKILL)
    yield 0


def slow(parts: Sequence[float], tell: Callable[[int], None]) -> Iterator[float]:
    for seconds in parts:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.05)
        yield seconds


def long(parts: Sequence[int], tell: Callable[[int], None]) -> Iterator[int]:
    yield from ()
    for number in range(1200):  # a minute
        time.sleep(0.05)
        tell(number)


def refused(parts: Sequence[int], tell: Callable[[int], None]) -> Iterator[int]:
    raise SpecmineError("nothing is indexed")
    yield 0


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is tried again."""
    from flows import workers

    monkeypatch.setattr(workers, "do_parts", workers.do_parts.with_options(retries=0))


def do(work: Any, parts: Sequence[Any], told: list[int], **settings: Any) -> list[Any]:
    from flows.workers import workers_of

    with workers_of(RunSettings(**settings)) as workers:
        return list(workers("a stage", work, parts, told.append))


def test_threads_tell_what_is_done_while_it_is_done() -> None:
    told: list[int] = []
    done = do(squares, [1, 2, 3], told)
    assert sorted(result for result, _ in done) == [1, 4, 9]
    assert {process for _, process in done} == {os.getpid()}
    assert told == [1, 1, 2, 2, 3, 3]


def test_processes_do_the_parts_and_end() -> None:
    told: list[int] = []
    done = do(squares, [1, 2, 3], told, task_runner="processes")
    assert sorted(result for result, _ in done) == [1, 4, 9]
    assert os.getpid() not in {process for _, process in done}
    assert told == [1, 2, 3]
    assert not [process for _, process in done if Path(f"/proc/{process}").exists()]


def test_one_part_needs_no_other_process() -> None:
    assert do(squares, [5], [], task_runner="processes") == [(25, os.getpid())]


def test_many_parts_are_a_hundred_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    from flows import workers

    sizes: list[list[int]] = []

    def count(runner: Any, stopped: Any, stage: str, limit: Any, work: Any, groups: Any, tell: Any) -> Any:
        sizes.append([len(group) for group in groups])
        assert limit == 3600.0 * len(groups[0])
        return iter(())

    monkeypatch.setattr(workers, "_in_tasks", count)
    do(squares, range(1001), [])
    assert sizes == [[11] * 91]


def test_what_a_part_refuses_is_said_as_it_is() -> None:
    with pytest.raises(SpecmineError, match=r"^nothing is indexed$"):
        do(refused, [1, 2], [])


def test_a_batch_that_takes_too_long_is_given_up(once: None) -> None:
    from prefect.task_runners import ThreadPoolTaskRunner

    from flows import workers

    started = time.monotonic()
    with (
        ThreadPoolTaskRunner(max_workers=1) as runner,
        pytest.raises(SpecmineError, match=r"'embedding' took longer than \[runs\] batch_seconds allows"),
    ):
        list(workers._in_tasks(runner, Event(), "embedding", 1.0, slow, [[60.0]], lambda done: None))
    assert time.monotonic() - started < 30


def test_a_cluster_that_does_not_answer_may_do_so_later() -> None:
    from flows import workers

    class Nobody:
        def submit(self, task: Any, parameters: Any) -> Any:
            raise OSError("timed out after 30 s")  # what distributed raises

    with pytest.raises(
        ConnectionError, match=r"workers of \[runs\] task_runner cannot be reached: timed out after 30 s"
    ):
        list(workers._in_tasks(Nobody(), None, "reading", None, squares, [[1]], lambda done: None))  # type: ignore[arg-type]


def test_an_interrupted_run_does_not_wait_for_its_thread() -> None:
    from flows.workers import workers_of

    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), workers_of(RunSettings()) as workers:
        list(workers("a stage", long, [1], interrupt))
    assert time.monotonic() - started < 20


def test_a_run_that_fails_leaves_no_process(once: None) -> None:
    """The first of two tasks is done at once; the other would take a minute."""
    from flows.workers import workers_of

    before = set(multiprocessing.active_children())
    with (
        pytest.raises(SpecmineError, match=r"^the disk is full$"),
        workers_of(RunSettings(task_runner="processes")) as workers,
    ):
        for _ in workers("a stage", slow, [0.0, 60.0], lambda done: None):
            started = time.monotonic()
            raise SpecmineError("the disk is full")
    assert time.monotonic() - started < 30
    assert set(multiprocessing.active_children()) <= before


def test_a_process_that_dies_is_an_error_of_one_line(once: None) -> None:
    with pytest.raises(SpecmineError, match=r"lost its worker \(BrokenProcessPool\), most likely for want of memory"):
        do(killed_always, [1, 2], [], task_runner="processes")


@needs_dask
def test_dask_does_the_part_of_a_dead_worker_again(tmp_path: Path) -> None:
    flags = [tmp_path / "one", tmp_path / "two"]
    flags[1].touch()
    done = do(killed_once, flags, [], task_runner="dask")
    assert len(done) == 2
    assert os.getpid() not in done


@pytest.mark.models
@pytest.mark.parametrize(
    ("other", "module", "runner_name"),
    [
        ("processes", "prefect.task_runners", "ProcessPoolTaskRunner"),
        ("dask", "prefect_dask.task_runners", "DaskTaskRunner"),
        ("ray", "prefect_ray.task_runners", "RayTaskRunner"),
    ],
)
def test_other_workers_make_the_same_index_as_threads(
    other: str,
    module: str,
    runner_name: str,
    write_config: Callable[[str], Path],
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runner = getattr(pytest.importorskip(module, reason=f"prefect-{other} is not installed"), runner_name)
    from flows import workers
    from flows.ingest import ingest
    from indexing import embedding

    submitted: list[str] = []
    submit = runner.submit

    def counted(self: Any, task: Any, *arguments: Any, **named: Any) -> Any:
        submitted.append(task.name)
        return submit(self, task, *arguments, **named)

    monkeypatch.setattr(runner, "submit", counted)
    monkeypatch.setattr(embedding, "_TEXTS_PER_BATCH", 1)
    monkeypatch.setattr(workers, "_PARTS", {})
    states = {}
    for name in ("threads", other):
        home = workplace / f"home-{name}"
        home.mkdir()
        (home / "models").symlink_to((workplace / "home" / "models").resolve())
        config = write_config(f'[runs]\ntask_runner = "{name}"\nworkers = 2\n')
        config.write_text(config.read_text().replace('home = "home"', f'home = "{home.name}"'))
        report = ingest(config=str(config))
        assert (report["documents"]["indexed"], report["release"]) == (2, "r0001")
        states[name] = _state(config) | {"chunks": report["chunks"], "generation": report["generation"]}
    assert sorted(submitted) == ["embedding with wordllama"] * 2 + ["reading"] * 2
    assert states["threads"]["vectors"]
    assert states[other] == states["threads"]


def _state(config: Path) -> dict[str, Any]:
    """What an index is made of, and what it finds."""
    settings = load_settings(config)
    home = settings.open_home()
    searcher = Searcher.open(home, settings.index())
    try:
        return {
            "ids": list(searcher.chunk_ids),
            "texts": [chunk.text for chunk in searcher.chunks.values()],
            "vectors": {
                str(path.relative_to(home.vectors)): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted(home.vectors.rglob("*.npy"))
            },
            "stored": {
                chunk: vector.tobytes()
                for name in searcher.release.encoders
                for chunk, vector in searcher._reader.vectors(name)
            },
            "found": [
                [result.chunk.id for result in searcher.search(query).results]  # scores differ in the 8th decimal
                for query in ("flange bolts", "colour of steam couplings", "25 Nm")
            ],
        }
    finally:
        searcher.close()
