"""Parameters that several commands of the command line take."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from flows.output import Session

Given = Annotated[Session, Parameter(parse=False)]
Orchestrated = Annotated[bool | None, Parameter(name="--prefect", negative="--no-prefect", show_default=False)]
