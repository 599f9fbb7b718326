"""What is deployed is one list, wherever it is written."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from flows.schedules import Schedules


def test_every_flow_is_served_deployed_and_can_have_a_schedule(prefect_home: Path) -> None:
    from flows.deployed import FLOWS

    deployed = yaml.safe_load((Path(__file__).parents[2] / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    assert [entry["entrypoint"] for entry in deployed] == [f"flows.{name}.{name}" for name in FLOWS]
    assert [entry["build"][0]["flows.deployments.prepare"]["flow"] for entry in deployed] == list(FLOWS)
    assert [flow.name for flow in FLOWS.values()] == list(FLOWS)
    assert Schedules.__dataclass_fields__.keys() == FLOWS.keys()


def test_prefect_takes_the_file(prefect_home: Path) -> None:
    """Prefect checks the file before the build step fills in what it asks for: a value of another type is refused."""
    from prefect.cli.deploy._models import PrefectYamlModel

    file = yaml.safe_load((Path(__file__).parents[2] / "prefect.yaml").read_text(encoding="utf-8"))
    assert len(PrefectYamlModel.model_validate(file).deployments) == len(file["deployments"])
    file["deployments"][0]["paused"] = "{{ specmine.paused }}"
    with pytest.raises(ValidationError):
        PrefectYamlModel.model_validate(file)
