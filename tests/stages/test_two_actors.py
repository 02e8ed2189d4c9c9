"""Two example actors in one network, and a third added to it, through all stages as a user runs them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audio2face.cli import deploy as deploy_command
from audio2face.cli.example_report import evaluate_example, voice_scores
from audio2face.cli.stages import exporter_of
from audio2face.config import Configuration, load
from audio2face.config.values import freeze
from audio2face.example.make import make_example
from audio2face.model_folder import DeployedModel
from audio2face.model_folder.model import lint
from audio2face.preproc.run import preprocess
from audio2face.training.run import train

CONFIG, ACTORS, ADDED = "quickstart-multi", ("ada", "ben"), "cid"
LEAST_CORRELATION = 0.5  # of the lip distance with the ground truth, after a part of the training that the actors get


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example dataset, and room for runs."""
    folder = tmp_path_factory.mktemp("actors")
    make_example(folder / "datasets/example", actors=ACTORS)
    # A third actor: the second one under a name of his own.
    (folder / "datasets/example" / ADDED).symlink_to(folder / "datasets/example/ben")
    return folder


@pytest.fixture(autouse=True)
def _roots(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A2F_DATASETS_ROOT", str(workspace / "datasets"))
    monkeypatch.setenv("A2F_WORKSPACE_ROOT", str(workspace / "workspace"))


def changed(configuration: Configuration, **sections: Mapping[str, Any]) -> Configuration:
    """A configuration with other values."""
    full = {name: {**values, **sections.get(name, {})} for name, values in configuration.full.items()}
    return dataclasses.replace(configuration, full=freeze(full))


def with_third(configuration: Configuration) -> Configuration:
    """The same with the third actor, whose files lie as the second one's."""

    def named(value: Any) -> Any:
        return value.replace("/ben/", f"/{ADDED}/") if isinstance(value, str) else value

    added = {
        name: {**values, ADDED: named(values["ben"])}
        for name, values in configuration.full["dataset"].items()
        if isinstance(values, Mapping) and "ben" in values
    }
    return changed(configuration, dataset={**added, "ACTOR_NAMES": [*ACTORS, ADDED]})


def deployed(workspace: Path, run: str) -> DeployedModel:
    """A deployed model, in which nothing is wrong."""
    model, faults = lint(workspace / "workspace/output_deploy" / run)
    assert model is not None
    assert not [fault for fault in faults if fault.severity == "error"]
    return model


def scores(workspace: Path, run: Path) -> dict[str, float]:
    """How well each actor speaks sentences of its own that training has not seen."""
    voices = {actor: [actor] for actor in ACTORS}
    report = evaluate_example(load(CONFIG, stage="inference"), run, voices, workspace / "evaluation", jobs=1)
    return {voice: score.correlation for voice, score in voice_scores(report).items()}


@pytest.mark.slow
def test_two_actors_share_a_network_and_a_third_joins(workspace: Path) -> None:
    for actor in ACTORS:
        preprocess(load(CONFIG, stage="preproc"), actor)
    quick = {"NUM_EPOCHS": 12, "TIME_LIMIT_MINUTES": None}
    learning = changed(load(CONFIG, stage="train"), train=quick)
    run = train(learning, exporter_of(learning)).run
    deploy_command.main([CONFIG, run.name])
    model = deployed(workspace, run.name)
    assert model.info.identities == ACTORS
    ada, ben = (actor.neutral_skin for actor in model.actors)
    assert np.abs(ada - ben).max() > 0.3  # centimetres: each has a face of his own
    found = scores(workspace, run.path)
    assert min(found.values()) > LEAST_CORRELATION, found

    joined = {**quick, "NUM_EPOCHS": 1, "PRETRAINED_NET_FPATH": str(run.path / "weights.safetensors")}
    preprocess(with_third(load(CONFIG, stage="preproc")), ADDED)
    learning = changed(with_third(load(CONFIG, stage="train")), train=joined)
    longer = train(learning, exporter_of(learning)).run
    deploy_command.main([CONFIG, longer.name])
    assert deployed(workspace, longer.name).info.identities == (*ACTORS, ADDED)
    after = scores(workspace, longer.name, ACTORS)
    assert all(after[actor] > found[actor] - 0.1 for actor in ACTORS), (found, after)  # nothing is forgotten
