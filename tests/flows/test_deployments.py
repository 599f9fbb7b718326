"""What is deployed is one list, wherever it is written."""

from __future__ import annotations

from pathlib import Path

import yaml

from flows.schedules import Schedules


def test_every_flow_is_served_deployed_and_can_have_a_schedule(prefect_home: Path) -> None:
    from flows.deployed import FLOWS

    deployed = yaml.safe_load((Path(__file__).parents[2] / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    assert [entry["entrypoint"] for entry in deployed] == [f"flows.{name}.{name}" for name in FLOWS]
    assert [entry["build"][0]["flows.deployments.prepare"]["flow"] for entry in deployed] == list(FLOWS)
    assert [flow.name for flow in FLOWS.values()] == list(FLOWS)
    assert Schedules.__dataclass_fields__.keys() == FLOWS.keys()
