"""What there is of docling on this machine: its packages, its models, and what of them decides how a PDF is read."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

from chunking.reading_settings import ReadingSettings

PROGRAM = Path(__file__).with_name("docling_pages.py")
_INSTALL = "pip install 'specmine[docling]'"
_PACKAGE = "docling-slim"  # docling without the formats and models that are not for PDFs; docling itself brings it
_MODELS = ("docling-project--docling-layout-heron", "docling-project--docling-models")
_SECONDS = 60


def problem(settings: ReadingSettings) -> str:
    """Tell in one line why docling cannot read here and what to do, "" where all is there."""
    found = versions(interpreter(settings))
    if _PACKAGE not in found:
        where = f"in the environment of {settings.docling_python}" if settings.docling_python else "here"
        hint = "pip install docling, with that interpreter" if settings.docling_python else _INSTALL
        return f'docling is not installed {where}: {hint}, or set pdf = "specmine" in [reading]'
    if missing := [name for name in _MODELS if not (settings.artifacts / name).is_dir()]:
        return (
            f"docling's models are not in {settings.artifacts}: {', '.join(missing)}; fetch them with "
            "`docling-tools models download layout tableformer -o FOLDER` and set docling_artifacts in [reading]"
        )
    return ""


def identity(settings: ReadingSettings) -> str:
    """Return what decides the text docling makes of a PDF: its versions, and its models by file name and size."""
    found = versions(interpreter(settings))
    files = sorted(
        (str(path.relative_to(settings.artifacts)), path.stat().st_size)
        for name in _MODELS
        for path in (settings.artifacts / name).rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(settings.artifacts).parts)
    )
    models = hashlib.sha256(json.dumps(files).encode()).hexdigest()[:16]
    return f"{' '.join(f'{name} {number}' for name, number in sorted(found.items()))} models {models}"


def interpreter(settings: ReadingSettings) -> str:
    """Return the path of the Python that docling runs under."""
    return settings.docling_python or sys.executable


@cache
def versions(python: str) -> dict[str, str]:
    """Return the versions of docling's packages under an interpreter; none where it does not even run."""
    try:
        told = subprocess.run(
            [python, "-I", str(PROGRAM), "--versions"], capture_output=True, timeout=_SECONDS, check=True
        )
        found: dict[str, str] = json.loads(told.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return {}
    return found
