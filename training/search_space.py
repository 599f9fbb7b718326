"""The space of a sweep: which keys of ``[train]`` may take which values, as a TOML file says it.

A key is one of ``TrainSettings``. Its value is a range, a list of choices, one fixed value, or (``loss``, ``gca``) a
table, whose parts are values or ranges::

    learning_rate = { low = 1e-5, high = 3e-4, log = true }
    synthesis = ["none", "mix", "mochi"]
    batch_size = 32
    loss = { full_softmax = 1.0, histogram = { low = 0.05, high = 1.0 } }

The bounds of a key that takes whole numbers are whole, both included.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol, get_type_hints

from pydantic import TypeAdapter, ValidationError

from indexing.home import SpecmineError
from training.loss_settings import LossSettings
from training.train_settings import TrainSettings

_RANGE = {"low", "high", "log"}
_HINTS = get_type_hints(TrainSettings)
# What other keys may depend on is drawn first.
_FIRST = ("loss", "negatives", "synthesis", "geometry")
# Keys whose values are tables, each part of which may vary.
_TABLES = ("loss", "gca")


class Draws(Protocol):
    """Whoever chooses values: a trial of Optuna."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return a value between both bounds."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """Return a whole number between both bounds."""

    def suggest_categorical(self, name: str, choices: list[str]) -> str:
        """Return one of the choices."""


@dataclass(frozen=True)
class Range:
    """A number from ``low`` to ``high``, both included; with ``log`` its logarithm is drawn evenly."""

    low: float
    high: float
    log: bool
    whole: bool

    def draw(self, name: str, draws: Draws) -> float:
        """Return a value of the range."""
        if self.whole:
            return draws.suggest_int(name, int(self.low), int(self.high), log=self.log)
        return draws.suggest_float(name, self.low, self.high, log=self.log)


@dataclass(frozen=True)
class Choices:
    """One of several values, each as JSON: a list or a table is one choice too."""

    values: tuple[str, ...]

    def draw(self, name: str, draws: Draws) -> Any:
        """Return one of the values."""
        return json.loads(draws.suggest_categorical(name, list(self.values)))


Parameter = Range | Choices


@dataclass(frozen=True)
class SearchSpace:
    """``parameters`` by the key of ``[train]``, or ``loss.NAME`` for a part of a table; ``fixed`` values by key."""

    parameters: Mapping[str, Parameter]
    fixed: Mapping[str, Any]

    def draw(self, base: TrainSettings, draws: Draws) -> TrainSettings:
        """Return ``base`` with what was drawn.

        Parameters that nothing in the drawn settings reads are not drawn: two trials never differ in them alone. Raises
        ValueError when the drawn values cannot be used together.
        """
        values = dict(self.fixed)
        first = [name for key in _FIRST for name in self.parameters if _key(name) == key]
        for name in first:
            _put(values, name, self.parameters[name].draw(name, draws))
        read = with_values(base, values).parameters
        for name, parameter in self.parameters.items():
            if name not in first and (_key(name) in read or _key(name) not in _LOSS_PARAMETERS):
                _put(values, name, parameter.draw(name, draws))
        return with_values(base, values)

    def as_json(self) -> dict[str, Any]:
        """Return the space as JSON-able values."""
        shown = {
            name: [json.loads(value) for value in parameter.values]
            if isinstance(parameter, Choices)
            else asdict(parameter)
            for name, parameter in self.parameters.items()
        }
        return {**shown, **self.fixed}


_LOSS_PARAMETERS = frozenset(entry.name for entry in fields(LossSettings))


def read_space(file: Path) -> SearchSpace:
    """Read a space. Raises SpecmineError in one line that names the file, the key and what is wanted."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecmineError(f"the space {file} cannot be read: {error.strerror}") from None
    except ValueError as error:  # TOML and UTF-8 alike
        raise SpecmineError(f"the space {file} is no TOML file: {error}") from None
    try:
        return parse_space(table)
    except ValueError as error:
        raise SpecmineError(f"{file}: {error}") from None


def parse_space(table: Mapping[str, Any]) -> SearchSpace:
    """Return the space that a table describes. Raises ValueError in one line that names the key."""
    parameters: dict[str, Parameter] = {}
    fixed: dict[str, Any] = {}
    for key, value in table.items():
        if key not in _HINTS:
            close = difflib.get_close_matches(key, _HINTS, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ";"
            raise ValueError(f"unknown key {key!r}{hint} allowed: {', '.join(_HINTS)}")
        if key == "seed":
            raise ValueError("seed: the best seed is luck; a sweep tries the winner with several by itself")
        if isinstance(value, list):
            parameters[key] = _choices(key, value)
        elif isinstance(value, dict) and (key not in _TABLES or _RANGE.intersection(value)):
            parameters[key] = _range(key, value)
        else:
            ranges = {name: weight for name, weight in _items(value) if isinstance(weight, dict)}
            parameters |= {f"{key}.{name}": _range(f"{key}.{name}", weight) for name, weight in ranges.items()}
            rest = {name: part for name, part in _items(value) if name not in ranges} if ranges else value
            # A loss needs a weight before the first is drawn.
            fixed[key] = {**rest, **dict.fromkeys(ranges, 1.0)} if key == "loss" and ranges else rest
            _check(key, fixed[key])
    if not parameters:
        raise ValueError("nothing varies: give a key a range ({ low = 1e-5, high = 1e-3, log = true }) or choices")
    return SearchSpace(parameters, fixed)


def with_values(base: TrainSettings, values: Mapping[str, Any]) -> TrainSettings:
    """Return ``base`` with the values of a table, of JSON or of TOML. Raises ValueError in one line."""
    before = plain(base)
    # A table of settings keeps what it does not name; the losses are named anew.
    tables = {
        key: {**before[key], **value} for key, value in values.items() if key == "gca" and isinstance(value, dict)
    }
    try:
        return TypeAdapter(TrainSettings).validate_python({**before, **values, **tables})
    except ValidationError as error:
        entry = error.errors(include_url=False, include_input=False)[0]
        key = entry["loc"][0] if entry["loc"] else ""
        raise ValueError(": ".join(filter(None, (str(key), entry["msg"].removeprefix("Value error, "))))) from None


def changes(base: TrainSettings, settings: TrainSettings) -> dict[str, Any]:
    """Return the keys of ``settings`` whose values are not those of ``base``; the seed is none of them."""
    before, after = plain(base), plain(settings)
    return {key: value for key, value in after.items() if value != before[key] and key != "seed"}


def plain(settings: TrainSettings) -> dict[str, Any]:
    """Return settings as JSON-able values."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(settings)))
    return values


def _choices(key: str, values: list[Any]) -> Choices:
    if not values:
        raise ValueError(f"{key}: no choice is given")
    for value in values:
        _check(key, value)
    written = tuple(dict.fromkeys(json.dumps(value, sort_keys=True) for value in values))
    return Choices(written)


def _range(key: str, table: Mapping[str, Any]) -> Range:
    low, high, log = table.get("low", ""), table.get("high", ""), table.get("log", False)
    whole = _HINTS.get(key) is int
    numbers = (int,) if whole else (int, float)
    if not set(table) <= _RANGE or not isinstance(log, bool):
        raise ValueError(f"{key}: a range is {{ low = …, high = …, log = true or false }}, not {dict(table)}")
    for bound in (low, high):
        if not isinstance(bound, numbers) or isinstance(bound, bool):
            raise ValueError(
                f"{key}: a range takes two {'whole ' if whole else ''}numbers, low and high, not {bound!r}"
            )
    if not low < high or (log and not low > 0):
        raise ValueError(f"{key}: low must be below high{', and above 0 with log' if log else ''}")
    part = key.partition(".")[2]
    for bound in (low, high):
        _check(_key(key), {part: bound} if part else bound)
    return Range(low, high, log, whole)


def _check(key: str, value: Any) -> None:
    """Refuse what ``[train]`` would refuse."""
    with_values(TrainSettings(), {key: value})


def _items(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


def _key(name: str) -> str:
    return name.partition(".")[0]


def _put(values: dict[str, Any], name: str, value: Any) -> None:
    key, _, part = name.partition(".")
    values[key] = {**values[key], part: value} if part else value
