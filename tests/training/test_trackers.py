"""Trackers of a training: what reaches them, which run a resumed training continues, and that none of them ends it.

The libraries of the extras are small fakes here, with the interface that the adapters use.
"""

from __future__ import annotations

import csv
import random
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.image import imsave

from audio2face.config.rules import tracker_packages
from audio2face.errors import UserError
from audio2face.training.checkpoint import Progress
from audio2face.training.metrics import FaceScores, HeldOutFrame, RunLog
from audio2face.training.trackers import TrackedRun, open_trackers

Calls = list[tuple[Any, ...]]


@pytest.fixture
def run(tmp_path: Path) -> TrackedRun:
    folder = tmp_path / "output_train" / "261130_101500_first"
    folder.mkdir(parents=True)
    imsave(folder / "curves.png", np.zeros((4, 6, 3)))
    return TrackedRun(folder=folder, parameters={"LEARNING_RATE": 1e-4}, workspace=tmp_path)


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def install(name: str, **content: Any) -> None:
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)

    return install


@pytest.fixture
def calls(install: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What the fakes of all three libraries were asked for."""
    found: Calls = []
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_PROJECT", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", "/nowhere")

    def wandb_init(**options: Any) -> SimpleNamespace:
        random.random()  # libraries draw names of runs
        found.append(("wandb", options["id"], options["mode"], options["resume"]))
        return SimpleNamespace(
            id=options["id"] or "w1",
            define_metric=lambda *_, **__: None,
            log=lambda values: found.append(("wandb.log", values)),
            finish=lambda exit_code: found.append(("wandb.finish", exit_code)),
        )

    install("wandb", init=wandb_init, Settings=dict, Image=str)

    class MlflowClient:
        def __init__(self, tracking_uri: str) -> None:
            found.append(("mlflow", tracking_uri.split(":")[0]))

        def get_experiment_by_name(self, name: str) -> None:
            return None

        def create_experiment(self, name: str, artifacts: str | None) -> str:
            return name

        def create_run(self, experiment: str, run_name: str) -> SimpleNamespace:
            found.append(("mlflow.create", experiment, run_name))
            return SimpleNamespace(info=SimpleNamespace(run_id="m1"))

        def __getattr__(self, name: str) -> Callable[..., None]:
            return lambda *args, **options: found.append((f"mlflow.{name}", *args, options))

    install("mlflow", entities=SimpleNamespace(Metric=lambda *metric: metric[:2], Param=lambda *param: param))
    install("mlflow.tracking", MlflowClient=MlflowClient)

    def trackio_init(**options: Any) -> SimpleNamespace:
        found.append(("trackio", options["name"], options["resume"]))
        return SimpleNamespace(
            log=lambda values, step: found.append(("trackio.log", values, step)),
            finish=lambda: found.append(("trackio.finish",)),
        )

    install("trackio", init=trackio_init, Image=str)
    return found


def use(run: TrackedRun, *names: Any) -> None:
    trackers = open_trackers(names, run)
    for tracker in trackers:
        tracker.log(Progress(step=5, epoch=1, seconds=60.0), {"losses/lip": 0.5})
        tracker.picture("curves", run.folder / "curves.png", 5)
        tracker.close("done")


def test_wandb_continues_the_run_offline(run: TrackedRun, calls: Calls) -> None:
    state = random.getstate()
    use(run, "wandb")
    assert random.getstate() == state
    use(replace(run, step=5), "wandb")
    assert calls[:4] == [
        ("wandb", None, "offline", "allow"),
        ("wandb.log", {"losses/lip": 0.5, "step": 5, "epoch": 2, "minutes": 1.0}),
        ("wandb.log", {"curves": str(run.folder / "curves.png"), "step": 5}),
        ("wandb.finish", 0),
    ]
    assert calls[4] == ("wandb", "w1", "offline", "allow")


def test_wandb_is_online_where_the_user_is(run: TrackedRun, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "key")
    use(run, "wandb")
    assert calls[0] == ("wandb", None, "online", "allow")


def test_mlflow_continues_the_run(run: TrackedRun, calls: Calls) -> None:
    use(run, "mlflow")
    assert calls[:2] == [("mlflow", "sqlite"), ("mlflow.create", "audio2face", run.name)]
    assert calls[2:] == [
        ("mlflow.log_batch", "m1", {"params": [("LEARNING_RATE", "0.0001")]}),
        ("mlflow.log_batch", "m1", {"metrics": [("losses/lip", 0.5)]}),
        ("mlflow.log_artifact", "m1", str(run.folder / "curves.png"), {}),
        ("mlflow.set_terminated", "m1", "FINISHED", {}),
    ]
    calls.clear()
    use(replace(run, step=5), "mlflow")
    assert calls[1] == ("mlflow.update_run", "m1", {"status": "RUNNING"})


def test_trackio_finds_the_run_by_its_name(run: TrackedRun, calls: Calls) -> None:
    use(run, "trackio")
    assert calls == [
        ("trackio", run.name, "allow"),
        ("trackio.log", {"losses/lip": 0.5, "epoch": 2}, 5),
        ("trackio.log", {"curves": str(run.folder / "curves.png")}, 5),
        ("trackio.finish",),
    ]


def test_a_tracker_that_fails_warns_once(
    run: TrackedRun, install: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    attempts: list[int] = []

    def fail(values: Any, step: int) -> None:
        attempts.append(step)
        raise ConnectionError("no route to host")

    install("trackio", init=lambda **_: SimpleNamespace(log=fail, finish=lambda: fail({}, 0)), Image=str)
    log = RunLog(run, ("csv", "trackio"))
    for step in (1, 2, 3):
        log.log(Progress(step=step), {"loss": 1.0})
    log.close("done")
    assert attempts == [1, 0]  # paused in between
    warnings = [record.getMessage() for record in caplog.records]
    assert warnings == ["the tracker trackio misses some of this run: no route to host"]
    with (run.folder / "metrics.csv").open() as handle:
        assert [row["step"] for row in csv.DictReader(handle)] == ["1", "2", "3"]


def test_a_tracker_that_cannot_be_opened_is_left_out(
    run: TrackedRun, install: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(**_: Any) -> None:
        raise ConnectionError("timed out")

    install("trackio", init=refuse)
    assert open_trackers(["trackio"], run) == []
    assert "the tracker trackio is not used: timed out" in caplog.text


def test_a_missing_package_is_one_error(run: TrackedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setattr("audio2face.training.trackers.find_spec", lambda name: None)
    monkeypatch.setattr("audio2face.config.rules.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install wandb\."):
        open_trackers(["csv", "wandb"], run)
    draft: Any = SimpleNamespace(stage="train", value=lambda section, name: ["csv", "mlflow"])
    found = list(tracker_packages(draft))
    message = "TRACKERS: 'mlflow' needs the package mlflow; install it: pip install mlflow-skinny sqlalchemy alembic"
    assert found == [("train", "TRACKERS", message)]


def test_a_held_out_frame_is_drawn_beside_the_recorded_one(run: TrackedRun) -> None:
    mesh = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32)
    frame = HeldOutFrame(
        actor="ada",
        faces=np.array([[0, 1, 2, 3]], np.int32),
        neutral=mesh,
        predicted=mesh + np.float32(0.1),
        true=mesh,
    )
    with RunLog(run) as log:
        log.draw(lambda: frame)
    assert (run.folder / "held_out_frame.png").stat().st_size > 1000
    assert list(run.folder.glob("events.out.tfevents.*"))
    broken = replace(frame, faces=np.array([[0, 1, 2, 9]], np.int32))
    with RunLog(run) as log:
        log.draw(lambda: broken)  # a warning


def test_the_held_out_frame_has_the_mouth_open() -> None:
    skin = torch.zeros(3, 4, 3)
    skin[1, 3] = 9.0  # elsewhere in the face
    skin[2, 1, 1] = -1.0  # the lower lip
    scores = FaceScores()
    scores.add(0, skin + 1, skin, np.array([[0], [1]]))
    assert scores.sample is not None
    predicted, true = scores.sample
    np.testing.assert_array_equal(true, skin[2])
    np.testing.assert_array_equal(predicted, skin[2] + 1)
    scores = FaceScores()
    scores.add(0, skin, skin, None)
    assert scores.sample is not None
    np.testing.assert_array_equal(scores.sample[1], skin[1])
