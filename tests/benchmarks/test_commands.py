"""The commands that documents give for their figures."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").glob("*.py")]


def test_every_command_names_a_module_that_is_there() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in DOCUMENTS}
    named = {(path.name, name) for path, text in texts.items() for name in re.findall(r"-m benchmarks\.(\w+)", text)}
    assert len(named) > 20
    assert [pair for pair in sorted(named) if not (ROOT / "benchmarks" / f"{pair[1]}.py").is_file()] == []


def test_every_command_is_one_of_a_module() -> None:
    """A file run by its path would not find what benchmarks share."""
    assert [path.name for path in DOCUMENTS if "python benchmarks/" in path.read_text(encoding="utf-8")] == []
