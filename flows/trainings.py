"""Many trainings: what ``specmine sweep`` and ``specmine ablate`` do, and where their jobs are done. No Prefect here.

A worker process opens the lab that its order names, so that all work on the same release, ledger and queries.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.verdict import Comparison
from flows.opened import catalogue, opened
from flows.settings import Settings, load_settings
from flows.stage_runs import logged
from flows.stages import Tell, retrain
from indexing.home import Home, SpecmineError
from indexing.releases import read_release, served
from mining.ledger import list_ledgers, read_ledger

if TYPE_CHECKING:
    from training.ablate import Ablation
    from training.development import Lab
    from training.search_space import SearchSpace
    from training.sweep import Job, Outcome, RunJobs, Sweep


@dataclass(frozen=True)
class Order:
    """What another process needs to do a job: plain values. ``threads`` are for one process.

    ``space`` and ``deadline`` are those of a sweep; fixed settings need none.
    """

    config: str | None
    release: str
    ledger: str | None
    encoder: str
    threads: int
    space: SearchSpace | None = None
    deadline: float = 0.0


Pool = Callable[[Order, int, Tell], "RunJobs"]
"""From an order, the number of processes and who is told of the jobs done to what does them."""


def sweep(
    settings: Settings,
    space_file: Path,
    trials: int,
    minutes: float,
    encoder: str | None,
    workers: int,
    tell: Tell,
    pool: Pool | None = None,
) -> dict[str, Any]:
    """Try settings of a space, the best of them again with fresh seeds, and let the referee decide about a winner.

    ``pool`` does the jobs; without one they are done here where ``workers`` is 1, else in processes of their own.
    """
    from training.search_space import read_space
    from training.sweep import Sweep

    _check("trials", trials, 1, 10_000)
    if not minutes > 0:
        raise SpecmineError(f"the minutes must be above 0, not {minutes:g}")
    space = read_space(space_file)
    order = replace(_order(settings, encoder, workers), space=space, deadline=time.time() + 60 * minutes)
    with logged(settings, "sweep") as summary:
        with opened_lab(settings, order.release, order.ledger, order.encoder) as lab, Home(lab.folder).exclusive():
            made = Sweep(lab, settings.training(), space, order.deadline)
            outcome = made.decide(trials, _runner(settings, order, lab, workers, tell, pool))
            summary.update(_report(made, outcome))
        if outcome.winner is not None and outcome.fresh is not None and outcome.fresh.difference > 0:
            winner = settings.model_copy(update={"train": summary["winner"]["settings"]})
            summary["retrain"] = retrain(winner, tell, (order.encoder,))
        summary["reason"] = _reason(outcome, summary["retrain"])
    return summary


def ablate(
    settings: Settings, seeds: int, encoder: str | None, workers: int, tell: Tell, pool: Pool | None = None
) -> dict[str, Any]:
    """Train with the configured settings and without each of their parts, and say what each part is worth."""
    from training.ablate import ablate as leave_out

    _check("seeds", seeds, 1, 100)
    order = _order(settings, encoder, workers)
    with (
        logged(settings, "ablate") as summary,
        opened_lab(settings, order.release, order.ledger, order.encoder) as lab,
        Home(lab.folder).exclusive(),
    ):
        run_jobs = _runner(settings, order, lab, workers, tell, pool)
        summary.update(_ablation(lab, leave_out(lab, settings.training(), seeds, run_jobs)))
    return summary


def do_job(order: Order, job: Job, tell: Tell) -> None:
    """Do one job in this process, which was started for it."""
    import torch

    torch.set_num_threads(order.threads)
    settings = load_settings(Path(order.config) if order.config else None)
    _do(settings, order, _lab_here(order.config, order.release, order.ledger, order.encoder), job, tell)


def _do(settings: Settings, order: Order, lab: Lab, job: Job, tell: Tell) -> None:
    from training.sweep import Sweep, run_fixed

    if order.space is None:
        run_fixed(lab, job, tell)
    else:
        Sweep(lab, settings.training(), order.space, order.deadline).run(job, tell)


def _runner(settings: Settings, order: Order, lab: Lab, workers: int, tell: Tell, pool: Pool | None) -> RunJobs:
    if pool is not None:
        return pool(order, workers, tell)
    if workers > 1:
        return in_processes(order, workers, tell)
    return lambda stage, jobs: _in_turn(stage, jobs, tell, lambda job: _do(settings, order, lab, job, tell))


def in_processes(order: Order, workers: int, tell: Tell) -> RunJobs:
    """Do jobs in processes of their own, ``workers`` at a time."""

    def run_jobs(stage: str, jobs: Sequence[Job]) -> None:
        tell(stage, 0, len(jobs))
        # A fork of a process in which torch has threads would hang.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(workers, max(1, len(jobs))), mp_context=context) as processes:
            futures = [processes.submit(do_job, order, job, _silent) for job in jobs]
            try:
                for done, future in enumerate(as_completed(futures), start=1):
                    future.result()
                    tell(stage, done, len(jobs))
            except BaseException:
                processes.shutdown(wait=False, cancel_futures=True)
                raise

    return run_jobs


def _in_turn(stage: str, jobs: Sequence[Job], tell: Tell, do: Callable[[Job], None]) -> None:
    tell(stage, 0, len(jobs))
    for done, job in enumerate(jobs, start=1):
        do(job)
        tell(stage, done, len(jobs))


@contextmanager
def opened_lab(settings: Settings, release: str, ledger: str | None, encoder: str) -> Iterator[Lab]:
    """Yield the lab of one encoder on this release, with this ledger."""
    from training.development import SHARE, Lab
    from training.splits import split_queries

    home = settings.open_home()
    with opened(settings, read_release(home, release)) as searcher, catalogue(settings) as book:
        splits = split_queries(searcher, book, settings.mine.synthetic, SHARE)
        mined = read_ledger(home, ledger) if ledger else None
        yield Lab(searcher, encoder, mined, splits, settings.promotion, home)


# What a worker process opened at its first job; it is closed with the process.
_OPEN = ExitStack()


@lru_cache(maxsize=1)
def _lab_here(config: str | None, release: str, ledger: str | None, encoder: str) -> Lab:
    settings = load_settings(Path(config) if config else None)
    return _OPEN.enter_context(opened_lab(settings, release, ledger, encoder))


def _encoder(settings: Settings, name: str | None) -> str:
    names = [spec.name for spec in settings.index().encoders]
    if name is not None and name not in names:
        raise SpecmineError(f"there is no encoder {name!r}; configured are: {', '.join(names)}")
    return name or names[0]


def _order(settings: Settings, encoder: str | None, workers: int) -> Order:
    _check("workers", workers, 1, 256)
    home = settings.open_home()
    return Order(
        config=str(settings.file) if settings.file else None,
        release=served(home).id,
        ledger=next(reversed(list_ledgers(home)), None),
        encoder=_encoder(settings, encoder),
        threads=max(1, (os.cpu_count() or 1) // workers),
    )


def _check(what: str, number: int, low: int, high: int) -> None:
    if not low <= number <= high:
        raise SpecmineError(f"the number of {what} must be {low} to {high}, not {number}")


def _silent(stage: str, done: int, total: int) -> None:
    """Tell nobody: a worker process has no place to write to."""


# What came of it


def _ablation(lab: Lab, found: Ablation) -> dict[str, Any]:
    from training.search_space import plain

    return {
        "encoder": lab.encoder,
        "measure": lab.rule.measure,
        "development": _development(lab),
        "settings": plain(found.whole[0].recipe.settings),
        "ledger": lab.ledger.id if lab.ledger else None,
        "seeds": [tried.recipe.settings.seed for tried in found.whole],
        "untrained": found.whole[0].curve[0],
        "whole": [tried.score for tried in found.whole],
        "parts": [
            {
                "part": ablated.part,
                "scores": [tried.score for tried in ablated.tried],
                **_comparison(ablated.comparison),
                "p_holm": ablated.p_holm,
                "seconds": round(sum(tried.seconds for tried in ablated.tried) / len(ablated.tried), 1),
            }
            for ablated in found.parts
        ],
    }


def _development(lab: Lab) -> dict[str, Any]:
    return {"split": lab.held_out.name, "queries": len(lab.held_out.texts), "train": len(lab.splits.train)}


def _report(made: Sweep, outcome: Outcome) -> dict[str, Any]:
    from training.search_space import changes, plain

    lab, winner = made.lab, outcome.winner
    return {
        "sweep": made.id,
        "encoder": lab.encoder,
        "measure": lab.rule.measure,
        "development": _development(lab),
        "space": made.space.as_json(),
        "untrained": outcome.present.curve[0],
        "configured": {"score": outcome.present.score, "settings": plain(made.base)},
        "trials": [asdict(trial) for trial in made.trials()],
        "winner": {
            "trial": outcome.best.number,
            "score": outcome.best.score,
            "changes": changes(made.base, winner),
            "settings": plain(winner),
        }
        if winner is not None and outcome.best is not None
        else None,
        "fresh": {
            "seeds": [tried.recipe.settings.seed for tried in outcome.after],
            "configured": [tried.score for tried in outcome.before],
            "winner": [tried.score for tried in outcome.after],
            **_comparison(outcome.fresh),
        }
        if outcome.fresh
        else None,
        "retrain": None,
    }


def _comparison(test: Comparison) -> dict[str, Any]:
    return {
        "difference": test.difference,
        "interval": list(test.interval),
        "p_value": test.p_value,
        "queries": test.queries,
        "groups": test.groups,
    }


def _reason(outcome: Outcome, retrained: Mapping[str, Any] | None) -> str:
    if outcome.fresh is None:
        return "no trial was finished: give the sweep more minutes, and run the same command again to go on"
    if retrained is None:
        return "with fresh seeds the winner is not ahead of the configured settings: nothing was trained for serving"
    return str(retrained["versions"][0]["reason"])
