"""An installation of its own for a benchmark: its configuration, and the command line in processes of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Installation:
    """All in one new folder ``work``: the home, the documents and what the commands said on their standard error."""

    work: Path

    @classmethod
    def create(cls, work: Path, tokens: int) -> Installation:
        """Make the folder, configured for the profile fast and passages of so many tokens."""
        made = cls(work)
        made.documents.mkdir(parents=True)
        made.configure(tokens)
        return made

    @property
    def config(self) -> Path:
        """The configuration's file."""
        return self.work / "specmine.toml"

    @property
    def documents(self) -> Path:
        """Where the documents are."""
        return self.work / "documents"

    def configure(self, tokens: int) -> None:
        """Configure passages of another size."""
        text = f'home = "{self.work / "home"}"\nprofile = "fast"\n[chunking]\nmax_tokens = {tokens}\n'
        self.config.write_text(text, encoding="utf-8")

    def bring(self, files: Iterable[Path]) -> None:
        """Put documents where they are ingested from."""
        for path in files:
            shutil.copy(path, self.documents)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command."""
        command = [sys.executable, "-m", "cli", *arguments, "--json", "--config", str(self.config)]
        command += ["--no-prefect"] if arguments[0] in ("ingest", "reindex") else []
        with (self.work / "log").open("a") as log:
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, process_group=0)

    def run(self, *arguments: str) -> dict[str, Any]:
        """Run a command to its end and return what it says. Exits where it fails."""
        return answer_of(self.start(*arguments))


def answer_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for a command and return what it says. Exits where it fails."""
    output = process.communicate()[0]
    answer: dict[str, Any] = json.loads(output) if output else {"error": "nothing was said"}
    if "error" in answer:
        raise SystemExit(str(answer["error"]))
    return answer


def kill(process: subprocess.Popen[str]) -> str:
    """Kill a command and what it started, with SIGKILL; say whether it still ran."""
    if process.poll() is not None:
        return "it had ended"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return "while it ran"


def queries_in(path: Path) -> list[str]:
    """Return the texts of a file of queries."""
    return [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()]
