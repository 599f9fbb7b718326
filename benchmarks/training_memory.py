"""How much memory does a training of each system take?

    OMP_NUM_THREADS=1 python -m benchmarks.training_memory --config specmine.toml --encoder minilm [--only NAME ...]

Each row of ``benchmarks.systems`` is trained in a process of its own on the longest training queries, 256 of them, for
it is the longest batch that decides. Printed is the most that the process held, the index's vectors, the encoder and
all libraries included. Needs Linux.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.systems import SYSTEMS
from benchmarks.trainings import opened, trained
from indexing.releases import BASE
from mining.ledger import read_ledger
from training.targets import examples_of
from training.train_settings import TrainSettings

LONGEST = 256


def silent(stage: str, done: int, total: int) -> None:
    pass


def in_a_process_of_its_own(measured: Callable[[], float]) -> float:
    """Return what ``measured`` returns in a process that begins as this one and keeps nothing of the last."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(measured, sender))
    process.start()
    sender.close()
    try:
        found: float = receiver.recv()
    except EOFError:
        raise SystemExit(f"the training ended with exit code {process.exitcode}: is there memory enough?") from None
    process.join()
    return found


def _send(measured: Callable[[], float], sender: Connection) -> None:
    sender.send(measured())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path)
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--only", nargs="*", choices=[*SYSTEMS], default=[*SYSTEMS])
    arguments = parser.parse_args()
    searcher, splits, bed = opened(arguments.config, arguments.encoder)
    found = examples_of(splits, searcher.chunks.values(), read_ledger(searcher.home), True).examples
    examples = sorted(found, key=lambda example: -len(example.text))[:LONGEST]
    print("| system | MiB |\n|---|---:|")
    for name in arguments.only:
        system = replace(TrainSettings(), **{"epochs": 1, "precision": "bfloat16", **SYSTEMS[name]})

        def peak(system: TrainSettings = system) -> float:
            encoder = searcher.load_encoder(arguments.encoder, BASE)
            encoder.take_form(system.form)
            untrained = {name: tensor.clone() for name, tensor in encoder.trained_weights().items()}
            with tempfile.TemporaryDirectory() as folder:
                return trained(encoder, untrained, bed, examples, system, Path(folder) / "run", silent).peak_mib

        print(f"| {name} | {in_a_process_of_its_own(peak):.0f} |", flush=True)


if __name__ == "__main__":
    main()
