"""Everything the stages make of a small actor: the same bits twice on one machine, the recorded numbers on any."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from tools.golden_record import Record, compare, make_record

NUMBERS = Path(__file__).parents[1] / "data" / "golden.json"


@pytest.fixture(scope="module")
def recorded() -> Record:
    record: Record = json.loads(NUMBERS.read_text())
    return record


def test_stages_make_the_same_bits_twice_and_the_recorded_numbers(tmp_path: Path, recorded: Record) -> None:
    first = make_record(tmp_path / "first")
    assert compare(recorded, first, bits=False) == []
    assert compare(first, make_record(tmp_path / "second"), bits=True) == []


def test_the_first_stage_that_differs_is_named(recorded: Record) -> None:
    changed = copy.deepcopy(recorded)
    name = "regression/train/000000_000000_golden/weights.safetensors"
    values = next(iter(changed[name]["arrays"].values()))["values"]
    values[0] += 1e-3
    changed["regression/deploy/000000_000000_golden/new.txt"] = {}
    first, where = compare(recorded, changed, bits=False)
    assert first == "regression: stage train is the first that differs"
    assert where.startswith(f"  {name}: ")
