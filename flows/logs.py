"""The structured log: one line for each document, batch and run, with the run that it belongs to.

A line is a JSON object, or words with ``key=value``. What the rooms warn of is in it too.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any

from flows.log_settings import LogSettings
from indexing.home import SpecmineError
from indexing.log import LOGGER

_ROOMS = (LOGGER.name, "chunking", "evaluation", "indexing", "mining", "training", "dashboard", "flows")
_RUN: ContextVar[dict[str, Any]] = ContextVar("run", default={})  # noqa: B039  never changed, only replaced


@contextmanager
def run_logged(settings: LogSettings, **run: Any) -> Iterator[None]:
    """Send what is logged in the block where the settings say, every line with the values of ``run``.

    Raises SpecmineError when the file cannot be written.
    """
    outer = _RUN.get()
    handler = None if outer else _handler(settings)  # a run within a run writes to the same place
    token = _RUN.set({**outer, **{name: value for name, value in run.items() if value is not None}})
    loggers = [logging.getLogger(name) for name in _ROOMS] if handler else []
    level = LOGGER.level
    try:
        if handler:
            LOGGER.setLevel(logging.INFO)
            LOGGER.propagate = False  # or whoever else listens, as Prefect does, writes each line once more
            for logger in loggers:
                logger.addHandler(handler)
        yield
    finally:
        _RUN.reset(token)
        for logger in loggers:
            logger.removeHandler(handler)  # type: ignore[arg-type]  # there are loggers only with a handler
        if handler:
            LOGGER.setLevel(level)
            LOGGER.propagate = True
            handler.close()


def as_object(record: logging.LogRecord) -> dict[str, Any]:
    """Return a record as the object of its line: time (UTC), level, event, the run, and the event's own values."""
    told = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "event": record.getMessage(),
        **_RUN.get(),
        **getattr(record, "values", {}),
    }
    if record.exc_info:
        told["error"] = "".join(logging.Formatter().formatException(record.exc_info))
    return told


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(as_object(record), ensure_ascii=False, default=str)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        told = as_object(record)
        head = " ".join(str(told.pop(name)) for name in ("time", "level", "event"))
        rest = " ".join(f"{name}={json.dumps(value, ensure_ascii=False, default=str)}" for name, value in told.items())
        return f"{head} {rest}".rstrip()


_FORMATS = {"json": _Json, "text": _Text}


def _handler(settings: LogSettings) -> logging.Handler | None:
    if not settings.file:
        return None
    if settings.file == "-":
        handler: logging.Handler = logging.StreamHandler(sys.stderr)
    else:
        path = Path(settings.file).expanduser()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handler = WatchedFileHandler(path, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise SpecmineError(f"the log {path} cannot be written: {error.strerror}; correct [logs] file") from None
    handler.setFormatter(_FORMATS[settings.format]())
    return handler
