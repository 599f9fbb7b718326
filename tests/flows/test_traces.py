"""Traces of flows, as Prefect makes them, sent to a collector by OpenTelemetry's own launcher."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.answering import Quiet, answering

trace_service = pytest.importorskip(
    "opentelemetry.proto.collector.trace.v1.trace_service_pb2", reason="specmine[telemetry] is not installed"
)


@pytest.mark.slow
def test_a_flow_and_its_task_are_one_trace(tmp_path: Path) -> None:
    spans: list[Any] = []

    class Collector(Quiet):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            body = gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body
            for resource in trace_service.ExportTraceServiceRequest.FromString(body).resource_spans:
                spans.extend(span for scope in resource.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

    secret = tmp_path / "confidential"
    secret.mkdir()
    configuration = f'home = "{tmp_path / "home"}"\n[inbox]\nfolder = "{secret}"\n'
    (tmp_path / "specmine.toml").write_text(configuration, encoding="utf-8")
    with answering(Collector) as url:
        done = subprocess.run(
            ["opentelemetry-instrument", "python", "-m", "cli", "inbox", "--prefect"],  # it would take --config itself
            cwd=tmp_path,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "PREFECT_HOME": str(tmp_path / "prefect"),
                "OTEL_EXPORTER_OTLP_ENDPOINT": url,
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                "OTEL_METRICS_EXPORTER": "none",
                "OTEL_LOGS_EXPORTER": "none",
            },
            capture_output=True,
            text=True,
            timeout=280,
        )
    assert done.returncode == 0, done.stderr
    runs = {}
    for span in spans:
        attributes = {one.key: one.value.string_value for one in span.attributes}
        assert "confidential" not in str(span)
        if "prefect.run.type" in attributes:
            runs[attributes["prefect.run.type"]] = span
    assert sorted(runs) == ["flow", "task"]
    assert runs["task"].name.startswith("take batches")
    assert runs["task"].parent_span_id == runs["flow"].span_id
    assert {span.status.code for span in runs.values()} == {runs["flow"].status.STATUS_CODE_OK}
