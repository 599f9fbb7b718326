"""The configuration: ``specmine.toml``, overridden by environment variables ``SPECMINE_<TABLE>__<KEY>``.

Neither Prefect nor torch is imported here, so that a mistake in the file is reported at once.
"""

from __future__ import annotations

import difflib
import os
import tomllib
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from chunking.ocr import OcrSettings
from chunking.readers import ReadLimits
from chunking.reading_settings import ReadingSettings
from chunking.splitters import ChunkSettings
from evaluation.verdict import PromotionRule
from flows.chain_settings import ChainSettings
from flows.inbox_settings import InboxSettings
from flows.log_settings import LogSettings
from flows.run_settings import RunSettings
from flows.schedules import Schedules
from flows.writer_lease import WriterLease
from indexing.home import Home, SpecmineError
from indexing.reindexing.settings import ReindexSettings
from indexing.settings import IndexSettings, Placement, QdrantSettings, SearchSettings
from indexing.specs import MS_MARCO_L12, PROFILES, CrossEncoderSpec, EncoderSpec
from mining.generate_settings import GenerateSettings
from mining.settings import MineSettings
from training.monitor_settings import MonitorSettings

if TYPE_CHECKING:
    from training.composition import CompositionSettings
    from training.reranker_settings import RerankerSettings
    from training.train_settings import TrainSettings

T = TypeVar("T")

DEFAULT_FILE = "specmine.toml"
_ENV_PREFIX = "SPECMINE_"
_ENV_DELIMITER = "__"


class QdrantTable(BaseModel):
    """``[qdrant]``: a server; without ``url`` the embedded engine is used."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str | None = None
    api_key: SecretStr | None = None
    shard_number: int = 1
    replication_factor: int = 1
    write_consistency_factor: int = 1
    on_disk: bool = False
    quantization: str = "none"

    @model_validator(mode="after")
    def _check_placement(self) -> QdrantTable:
        self.placement()
        return self

    def placement(self) -> Placement:
        """Return how the server keeps an index. Raises ValueError where that is impossible."""
        return Placement(**self.model_dump(exclude={"url", "api_key"}))


class DashboardTable(BaseModel):
    """``[dashboard]``: with ``token``, programs that know it start runs over HTTP."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: SecretStr | None = Field(default=None, min_length=16)


@dataclass(frozen=True)
class CatalogueTable:
    """``[catalogue]``: the SQLAlchemy URL of the catalogue; without it, SQLite below the home."""

    url: str | None = None


@dataclass(frozen=True)
class SourcesTable:
    """``[sources]``: the folders and files that an ingest without paths brings in."""

    paths: tuple[Path, ...] = ()


class Settings(BaseSettings):
    """Everything that can be configured. ``file`` is where it was read, None when there was no file."""

    model_config = SettingsConfigDict(
        env_prefix=_ENV_PREFIX, env_nested_delimiter=_ENV_DELIMITER, extra="forbid", frozen=True
    )

    home: Path = Path("var")
    profile: Literal["default", "fast"] = "default"
    encoders: tuple[EncoderSpec, ...] = ()
    cross_encoder: CrossEncoderSpec | Literal[False] = MS_MARCO_L12
    chunking: ChunkSettings = Field(default_factory=ChunkSettings)
    limits: ReadLimits = Field(default_factory=ReadLimits)
    reading: ReadingSettings = Field(default_factory=ReadingSettings)
    ocr: OcrSettings = Field(default_factory=OcrSettings)
    qdrant: QdrantTable = Field(default_factory=QdrantTable)
    search: SearchSettings = Field(default_factory=SearchSettings)
    dashboard: DashboardTable = Field(default_factory=DashboardTable)
    catalogue: CatalogueTable = Field(default_factory=CatalogueTable)
    mine: MineSettings = Field(default_factory=MineSettings)
    generate: GenerateSettings = Field(default_factory=GenerateSettings)
    train: dict[str, Any] = Field(default_factory=dict)
    composition: dict[str, Any] = Field(default_factory=dict)
    reranker: dict[str, Any] = Field(default_factory=dict)
    promotion: PromotionRule = Field(default_factory=PromotionRule)
    monitor: MonitorSettings = Field(default_factory=MonitorSettings)
    reindex: ReindexSettings = Field(default_factory=ReindexSettings)
    schedules: Schedules = Field(default_factory=Schedules)
    runs: RunSettings = Field(default_factory=RunSettings)
    inbox: InboxSettings = Field(default_factory=InboxSettings)
    logs: LogSettings = Field(default_factory=LogSettings)
    chain: ChainSettings = Field(default_factory=ChainSettings)
    sources: SourcesTable = Field(default_factory=SourcesTable)

    _file: Path | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file, whose content is given as arguments."""
        return env_settings, init_settings

    @property
    def file(self) -> Path | None:
        """The file these settings were read from."""
        return self._file

    def index(self) -> IndexSettings:
        """Return what building and searching an index needs to know."""
        key = self.qdrant.api_key
        return IndexSettings(
            encoders=self.encoders or PROFILES[self.profile],
            cross_encoder=self.cross_encoder or None,
            chunking=self.chunking,
            limits=self.limits,
            reading=self.reading,
            ocr=self.ocr,
            qdrant=QdrantSettings(self.qdrant.url, key.get_secret_value() if key else None, self.qdrant.placement()),
            search=self.search,
        )

    def open_home(self) -> Home:
        """Return the home, its path absolute; who writes to it holds the lease in the catalogue."""
        home = Home(self.home.expanduser().absolute())
        return replace(home, lease=WriterLease(home, self.catalogue.url, self.runs.lease_seconds))

    def training(self) -> TrainSettings:
        """Return the table ``[train]``, validated. Imports torch, which knows what can be trained."""
        from training.train_settings import TrainSettings

        return self._table("train", TrainSettings)

    def reranking(self) -> RerankerSettings:
        """Return the table ``[reranker]``, validated. Imports torch."""
        from training.reranker_settings import RerankerSettings

        return self._table("reranker", RerankerSettings)

    def compositions(self) -> CompositionSettings:
        """Return the table ``[composition]``, validated. Imports torch."""
        from training.composition import CompositionSettings

        return self._table("composition", CompositionSettings)

    def _table(self, name: str, kind: type[T]) -> T:
        file, table = self._file or Path(DEFAULT_FILE), getattr(self, name)
        for where, key, allowed in _unknown_keys(kind, table, f"{name}."):
            raise SpecmineError(f"{file}: unknown key {where + key!r}{_did_you_mean(key, allowed)}")
        try:
            return TypeAdapter(kind).validate_python(table)
        except ValidationError as error:
            raise SpecmineError(_one_line(error, kind, table, file, name)) from None

    def catalogue_url(self) -> str:
        """Return the SQLAlchemy URL of the catalogue. It may hold a password: do not print it."""
        return self.catalogue.url or self.open_home().catalogue_url


def load_settings(config: Path | None = None) -> Settings:
    """Read the settings from ``config``, or from ``specmine.toml`` in the working directory where there is one.

    Relative paths in the file count from the file's folder. Raises SpecmineError in one line that names file and key.
    """
    file = config or Path(DEFAULT_FILE)
    if config is not None and not config.is_file():
        raise SpecmineError(f"there is no configuration file {config}")
    table = _read(file) if file.is_file() else {}
    for where, key, allowed in _unknown_keys(Settings, table, ""):
        raise SpecmineError(f"{file}: unknown key {where + key!r}{_did_you_mean(key, allowed)}")
    try:
        settings = Settings(**_from_folder(table, file.absolute().parent))
        settings.index()
    except ValidationError as error:
        raise SpecmineError(_one_line(error, Settings, table, file)) from None
    except ValueError as error:  # from the dataclasses that index() makes, or a variable that is no JSON
        raise SpecmineError(f"{file}: {error}") from None
    settings._file = file.absolute() if file.is_file() else None
    # These know their keys only with torch, which takes seconds: nobody waits for it who does not set them.
    if settings.train:
        settings.training()
    if settings.composition:
        settings.compositions()
    if settings.reranker:
        settings.reranking()
    return settings


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecmineError(f"{file} cannot be read: {error.strerror}") from None
    except ValueError as error:  # TOML and UTF-8 alike
        raise SpecmineError(f"{file} is no TOML file: {error}") from None


def _from_folder(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return ``table`` with the paths of this machine made absolute. Values of a wrong type are left to validation."""

    def absolute(value: Any) -> Any:
        return str(folder / Path(value).expanduser()) if isinstance(value, str) else value

    table = dict(table)
    if "home" in table:
        table["home"] = absolute(table["home"])
    sources = table.get("sources")
    if isinstance(sources, dict) and isinstance(sources.get("paths"), list):
        table["sources"] = {**sources, "paths": [absolute(path) for path in sources["paths"]]}
    inbox = table.get("inbox")
    if isinstance(inbox, dict) and "folder" in inbox:
        table["inbox"] = {**inbox, "folder": absolute(inbox["folder"])}
    reading = table.get("reading")
    if isinstance(reading, dict):
        paths = {key: absolute(reading[key]) for key in ("docling_artifacts", "docling_python") if reading.get(key)}
        table["reading"] = {**reading, **paths}
    generate = table.get("generate")
    if isinstance(generate, dict) and isinstance(generate.get("seq2seq"), dict):
        local = generate["seq2seq"]
        moved = {**local, "directory": absolute(local["directory"])} if local.get("directory") else local
        table["generate"] = {**generate, "seq2seq": moved}
    encoders = table.get("encoders")
    if isinstance(encoders, list):
        table["encoders"] = [_with_absolute_directory(spec, absolute) for spec in encoders]
    if "cross_encoder" in table:
        table["cross_encoder"] = _with_absolute_directory(table["cross_encoder"], absolute)
    return table


def _with_absolute_directory(spec: Any, absolute: Any) -> Any:
    source = spec.get("source") if isinstance(spec, dict) else None
    if not isinstance(source, dict) or "directory" not in source:
        return spec
    return {**spec, "source": {**source, "directory": absolute(source["directory"])}}


# Errors in one line


def _unknown_keys(kind: Any, value: Any, where: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yield each key of ``value`` that ``kind`` does not know: the path before it, the key, and the allowed keys."""
    kind = _member(kind, value)
    if isinstance(value, list):
        element = (get_args(kind) or (Any,))[0]
        for number, entry in enumerate(value):
            yield from _unknown_keys(element, entry, f"{where.removesuffix('.')}[{number}].")
    hints = _keys(kind)
    if hints and isinstance(value, dict):
        for key, entry in value.items():
            if key not in hints:
                yield where, key, list(hints)
            else:
                yield from _unknown_keys(hints[key], entry, f"{where}{key}.")


def _keys(kind: Any) -> dict[str, Any]:
    """Return the keys of a table of this kind and their annotations; none where it is not a table."""
    if not isinstance(kind, type) or not (is_dataclass(kind) or issubclass(kind, BaseModel)):
        return {}
    names = [entry.name for entry in fields(kind)] if is_dataclass(kind) else list(kind.model_fields)
    hints = get_type_hints(kind)
    return {name: hints[name] for name in names}


def _member(kind: Any, value: Any) -> Any:
    """Return the member of a union that ``value`` is meant to be: that which shares most keys with it."""
    if get_origin(kind) is Annotated:
        return _member(get_args(kind)[0], value)
    if get_origin(kind) not in (Union, types.UnionType):
        return kind
    given: set[str] = set(value) if isinstance(value, dict) else set()
    return max(get_args(kind), key=lambda member: (len(given & set(_keys(member))), bool(_keys(member))))


def _did_you_mean(key: str, allowed: list[str]) -> str:
    close = difflib.get_close_matches(key, allowed, n=1)
    return (f"; did you mean {close[0]!r}?" if close else ";") + f" allowed: {', '.join(allowed)}"


def _one_line(error: ValidationError, kind: Any, table: Mapping[str, Any], file: Path, where: str = "") -> str:
    """Return the first mistake in one line: where it stands and what is wanted. Values are not repeated: secrets."""
    path, message = "", ""
    for entry in error.errors(include_url=False, include_input=False):
        path, meant = _path(entry["loc"], kind, table, where)
        message = entry["msg"].removeprefix("Value error, ")
        if meant:
            break
    variable = _ENV_PREFIX + path.upper().replace(".", _ENV_DELIMITER)
    origin = f"environment variable {variable}" if variable in os.environ else f"{file}: {path}"
    return f"{origin}: {message[0].lower()}{message[1:]}"


def _path(location: tuple[int | str, ...], kind: Any, value: Any, path: str) -> tuple[str, bool]:
    """Return pydantic's location as a path of keys, without the names of union members it puts in between.

    The second value tells whether the error belongs to the union member that the file means.
    """
    meant = True
    for part in location:
        kind = _member(kind, value)
        hints = _keys(kind)
        if isinstance(part, int):
            path, kind = f"{path}[{part}]", (get_args(kind) or (Any,))[0]
            value = value[part] if isinstance(value, list) and part < len(value) else None
        elif part in hints:
            path, kind = f"{path}.{part}" if path else part, hints[part]
            value = value.get(part) if isinstance(value, dict) else None
        elif part != getattr(kind, "__name__", None):
            meant = False
    return path, meant
