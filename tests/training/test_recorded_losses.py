"""Losses of short trainings equal those that `record_losses` wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from record_losses import KINDS, RECORD, losses

from audio2face.config_base.tables import NetworkType

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("kind", KINDS)
def test_losses_equal_the_recorded_ones(tmp_path: Path, kind: NetworkType) -> None:
    recorded, found = json.loads(RECORD.read_text())[kind], losses(tmp_path, kind)
    assert recorded.keys() == found.keys()
    for step, expected in recorded.items():
        # Terms near zero at the start of a training have fewer exact digits.
        assert found[step] == pytest.approx(expected, rel=1e-4, abs=1e-9), step
