"""Who does the parts of a stage in a flow: tasks of the runner that ``[runs] task_runner`` names.

A task does several parts, so that a run has a hundred tasks and not a million. No result is cached by Prefect: what a
part makes lies in the home under a name made of its content and configuration, and a task that is run again, by a
retry, by Dask for a worker that died or by the next run, finds it there.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from math import ceil
from queue import SimpleQueue
from typing import Any, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner

from flows.run_settings import RunSettings
from flows.runs import RETRIES, can_succeed_later
from indexing.home import SpecmineError
from indexing.parts import Count, Workers

P = TypeVar("P")
R = TypeVar("R")

# More make a run's page unreadable, and Prefect's database large.
_MOST_TASKS = 100
# Documents, of which reading or cutting one takes seconds; a batch of passages, which takes a minute, is a task alone.
_DOCUMENTS = 40
_PARTS = {"reading": _DOCUMENTS, "cutting": _DOCUMENTS}


@contextmanager
def workers_of(settings: RunSettings) -> Iterator[Workers]:
    """Yield who does the parts of a run's stages. A cluster is started, or connected to, when it is first needed.

    When the run ends by an error or is interrupted, parts that are under way are not waited for.
    """
    with ExitStack() as stack:
        runners: dict[str, TaskRunner[Any]] = {}
        stopped = threading.Event()
        children = set(multiprocessing.active_children())

        def do(
            stage: str, work: Callable[[Sequence[P], Count], Iterator[R]], parts: Sequence[P], tell: Count
        ) -> Iterator[R]:
            size = max(_PARTS.get(stage, 1), ceil(len(parts) / _MOST_TASKS))
            groups = [parts[start : start + size] for start in range(0, len(parts), size)]
            # One task is not worth the start of other processes; a cluster that is there may have what it needs.
            name = "threads" if len(groups) < 2 and not settings.address else settings.task_runner
            if name not in runners:
                runners[name] = stack.enter_context(_RUNNERS[name](settings))
            # Every document that is read has a limit of its own.
            limit = None if stage == "reading" else settings.batch_seconds * size
            yield from _in_tasks(
                runners[name], stopped if name == "threads" else None, stage, limit, work, groups, tell
            )

        try:
            yield do
        except BaseException:
            stopped.set()
            for child in set(multiprocessing.active_children()) - children:
                child.kill()
            raise


@task(name="part", cache_policy=NO_CACHE, retry_condition_fn=can_succeed_later, **RETRIES)
def do_parts(
    work: Callable[[Sequence[Any], Count], Iterator[Any]], parts: Sequence[Any], tell: Count
) -> tuple[list[Any], int]:
    """Do the parts; return what there is to tell of them, and how much was done."""
    told = 0

    def remember(done: int) -> None:
        nonlocal told
        told = done
        tell(done)

    return list(work(parts, remember)), told


class _StoppedError(Exception):
    """The run has ended: nobody waits for this part."""


def _silent(done: int) -> None:
    """Tell nobody: the run is in another process."""


def _in_tasks(
    runner: TaskRunner[Any],
    stopped: threading.Event | None,
    stage: str,
    limit: float | None,
    work: Callable[[Sequence[P], Count], Iterator[R]],
    groups: Sequence[Sequence[P]],
    tell: Count,
) -> Iterator[R]:
    """Submit a task for each group, and yield what they tell as they end. Raises the first error of one.

    ``stopped`` ends a task in a thread of this process when it tells the next time; None where tasks are elsewhere.
    """
    events: SimpleQueue[PrefectFuture[Any] | int] = SimpleQueue()

    def put(done: int) -> None:
        if stopped is not None and stopped.is_set():
            raise _StoppedError
        events.put(done)

    for number, group in enumerate(groups, start=1):
        one = do_parts.with_options(
            name=stage, task_run_name=f"{stage} {number} of {len(groups)}", timeout_seconds=limit
        )
        parameters = {"work": work, "parts": group, "tell": _silent if stopped is None else put}
        try:
            future = runner.submit(one, parameters)
        except OSError as error:  # a cluster is connected to when it gets its first task; it may be there later
            raise ConnectionError(f"the workers of [runs] task_runner cannot be reached: {error}") from error
        future.add_done_callback(events.put)
    ended = done = 0
    while ended < len(groups):
        event = events.get()
        if isinstance(event, int):  # of the one task under way
            tell(done + event)
            continue
        results, told = _result(event, stage)
        ended += 1
        done += told
        tell(done)
        yield from results


def _result(future: PrefectFuture[Any], stage: str) -> tuple[list[Any], int]:
    try:
        result: tuple[list[Any], int] = future.result()
    except SpecmineError:
        raise
    except Exception as error:
        kind = type(error).__name__
        if isinstance(error, TimeoutError):
            problem = "took longer than [runs] batch_seconds allows"
        elif isinstance(error, BrokenProcessPool) or kind in ("KilledWorker", "WorkerCrashedError"):
            problem = f"lost its worker ({kind}), most likely for want of memory: lower [runs] workers"
        elif isinstance(error, ConnectionError):
            problem = f"lost a connection ({error})"
        else:
            raise
        # It was tried again as often as it is worth: the run as a whole is not.
        raise SpecmineError(f"a task of {stage!r} {problem}; run it again, it goes on from what is done") from error
    return result


def _threads(settings: RunSettings) -> TaskRunner[Any]:
    return ThreadPoolTaskRunner(max_workers=1)  # a model takes all processors, and reading has processes of its own


def _processes(settings: RunSettings) -> TaskRunner[Any]:
    return ProcessPoolTaskRunner(
        max_workers=settings.workers, initializer=_begin, initargs=(_environment(settings.workers),)
    )


def _begin(environment: dict[str, str]) -> None:
    """Prepare one of several processes: before torch is imported, and so that it ends when the run is killed."""
    os.environ.update(environment)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _dask(settings: RunSettings) -> TaskRunner[Any]:
    _need("prefect_dask", settings.task_runner)
    from prefect_dask.task_runners import DaskTaskRunner

    logging.getLogger("distributed").setLevel(logging.WARNING)
    cluster = {
        "n_workers": settings.workers,
        "threads_per_worker": 1,
        "env": _environment(settings.workers),
        "memory_limit": 0,  # its own is what one processor would have of the memory: an encoder may need more
        "dashboard_address": None,
    }
    where = {"address": settings.address} if settings.address else {"cluster_kwargs": cluster}
    runner: TaskRunner[Any] = DaskTaskRunner(**where)
    return runner


def _ray(settings: RunSettings) -> TaskRunner[Any]:
    _need("prefect_ray", settings.task_runner)
    from prefect_ray.task_runners import RayTaskRunner

    cluster = {
        "num_cpus": settings.workers,
        "include_dashboard": False,
        "runtime_env": {"env_vars": _environment(settings.workers)},
    }
    where = {"address": settings.address} if settings.address else {"init_kwargs": cluster}
    runner: TaskRunner[Any] = RayTaskRunner(**where)
    return runner


def _environment(workers: int) -> dict[str, str]:
    """Return what tells each of several processes how many processors it may take."""
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // workers))
    return dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), threads)


def _need(package: str, name: str) -> None:
    if find_spec(package) is None:
        raise SpecmineError(
            f"[runs] task_runner = \"{name}\" needs {package.replace('_', '-')}: pip install 'specmine[{name}]'"
        )


_RUNNERS: dict[str, Callable[[RunSettings], TaskRunner[Any]]] = {
    "threads": _threads,
    "processes": _processes,
    "dask": _dask,
    "ray": _ray,
}
