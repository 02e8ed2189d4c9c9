"""What the quickstart made, as good as it promises: read from the workspace, where run_quickstart.py left it.

The quickstart of the regression network is not run before the tests; the slow tests run it themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from audio2face.cli import quickstart as quickstart_command
from audio2face.cli.example_report import VoiceScore, voice_scores
from audio2face.cli.quickstart import animation_name, score_quickstart
from audio2face.config import Configuration, load
from audio2face.example.sentences import unseen_sentences
from audio2face.runs import finished_runs

DIFFUSION, REGRESSION = "quickstart-diffusion", "quickstart-regression"
ACTOR, STRANGER = "ada", "ben"


@pytest.fixture(scope="module", params=[DIFFUSION, pytest.param(REGRESSION, marks=pytest.mark.slow)])
def configuration(request: pytest.FixtureRequest) -> Configuration:
    if request.param == REGRESSION:
        assert quickstart_command.main(["--network", "regression"]) == 0
    return load(request.param, stage="inference", check_files=False)


@pytest.fixture(scope="module")
def run(configuration: Configuration) -> str:
    """The quickstart's newest training run."""
    runs = [run.name for run in finished_runs(configuration.train.TRAIN_OUTPUT_ROOT)]
    own = [name for name in runs if name.endswith(f"_{configuration.train.RUN_NAME}")]
    done = [name for name in own if (configuration.inference.INFERENCE_OUTPUT_ROOT / name).is_dir()]
    if not done:
        pytest.skip("there is no quickstart to look at: python3 run_quickstart.py makes one in minutes")
    return done[0]


@pytest.fixture(scope="module")
def scores(configuration: Configuration, run: str) -> Mapping[str, VoiceScore]:
    return voice_scores(score_quickstart(configuration, configuration.train.TRAIN_OUTPUT_ROOT / run))


@pytest.mark.parametrize(("voice", "least"), [(ACTOR, 0.8), (STRANGER, 0.6)])
def test_lips_move_as_the_true_ones_do(scores: Mapping[str, VoiceScore], voice: str, least: float) -> None:
    assert scores[voice].correlation >= least


@pytest.mark.parametrize("voice", [ACTOR, STRANGER])
def test_lips_meet_on_p_b_m(scores: Mapping[str, VoiceScore], voice: str) -> None:
    assert scores[voice].closed >= 0.8


def test_a_sentence_can_be_looked_at(configuration: Configuration, run: str) -> None:
    name = animation_name(unseen_sentences(configuration.roots.datasets, ACTOR)[-1].stem, ACTOR)
    folder: Path = configuration.inference.INFERENCE_OUTPUT_ROOT / run / name
    for ending in (".html", ".glb", ".xml", ".mp4"):
        assert (folder / f"{name}{ending}").is_file(), ending
