"""The shipped configurations keep every value, however their files are written.

`tests/data/configurations.json` holds the values as they were when each folder was written out in full and each base
module declared all of its parameters: what users and the reference know.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from audio2face.config import Roots, load

from .conftest import ROOT

RECORDED: dict[str, dict[str, Any]] = json.loads((ROOT / "tests/data/configurations.json").read_text(encoding="utf-8"))


def test_every_shipped_configuration_is_recorded() -> None:
    assert sorted(path.name for path in (ROOT / "configs").iterdir()) == sorted(RECORDED)


@pytest.mark.parametrize("name", RECORDED)
def test_shipped_configurations_keep_their_values(name: str) -> None:
    roots = Roots(Path("/datasets"), Path("/workspace"))
    configuration = load(name, stage="inference", roots=roots, check_files=False)
    found = json.loads(json.dumps({"values": configuration.full, "given": configuration.modifiers}))
    for section, values in RECORDED[name]["values"].items():
        assert found["values"][section] == values
        assert list(found["values"][section]) == list(values)  # the order of the documentation
        given = found["given"][section]
        keys = {name: sorted(value) if isinstance(value, dict) else None for name, value in given.items()}
        assert keys == RECORDED[name]["given"][section]
    assert list(found["values"]) == list(RECORDED[name]["values"])
