"""Checks of the programs that reading may need: recognition of scanned pages, and docling."""

from __future__ import annotations

from collections.abc import Iterator

from chunking import docling_install, docling_runs
from chunking.ocr import installed_languages
from chunking.ocr import version as ocr_version
from flows.checks.check import Check
from flows.settings import Settings


def recognition(settings: Settings) -> Iterator[Check]:
    """Look for tesseract and its languages, where scanned pages are to be recognised."""
    if not settings.ocr.enabled:
        return
    found = ocr_version()
    missing = sorted(set(settings.ocr.languages) - installed_languages()) if found else []
    if not found:
        message = "[ocr] is enabled, but tesseract is not on the PATH: install it, or disable [ocr]"
        yield Check("ocr", "failed", message, "sudo apt-get install tesseract-ocr")
    elif missing:
        message = f"{found} has no language {', '.join(missing)}: install it, or change languages"
        packages = " ".join(f"tesseract-ocr-{language.replace('_', '-')}" for language in missing)
        yield Check("ocr", "failed", message, f"sudo apt-get install {packages}")
    else:
        yield Check("ocr", "ok", f"{found}, {', '.join(settings.ocr.languages)}")


def docling(settings: Settings) -> Iterator[Check]:
    """Let docling read a trial page, where it is the reader of PDFs."""
    if settings.reading.pdf != "docling":
        return
    if missing := docling_install.problem(settings.reading):
        yield Check("docling", "failed", missing)
    elif failure := docling_runs.trial(settings.limits, settings.ocr, settings.reading):
        yield Check("docling", "failed", failure)
    else:
        version = docling_install.versions(docling_install.interpreter(settings.reading))["docling-slim"]
        yield Check("docling", "ok", f"{version} reads PDFs, its models are in {settings.reading.artifacts}")
