"""A second quickstart keeps what is whole, and makes what is missing, damaged or of other inputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from audio2face.cli import deploy, reuse
from audio2face.cli import quickstart as quickstart_command
from audio2face.cli.quickstart import RECORD_FILE
from audio2face.cli.reuse import KeptResults
from audio2face.config import Roots
from audio2face.io.atomic import write_json
from audio2face.runs import RunFolder

RUN = "261123_101500_quick"
SENTENCES = ("u01_joy", "u02_joy", "u03_neutral")
SHOWN = f"{SENTENCES[-1]}_ada_neutral"


class Stages:
    """Stands for the stages: writes small files, and remembers what it was asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls: list[tuple[str, ...]] = []
        self.full: dict[str, Any] = {"inference": {"CONFIG": {}}}
        export = folder / "train" / RUN
        for name in ("export.json", "deploy/network.onnx"):
            write_json(export / name, {})
        for voice in quickstart_command.VOICES:
            write_json(folder / "datasets/example" / voice / "example_dataset.json", {"source": "1"})
            for sentence in SENTENCES:
                write_json(folder / f"datasets/example/{voice}/unseen/audio/{voice}_{sentence}.wav", {})

    def configuration(self, *_: object, **__: object) -> Any:
        paths = {"FINAL_DEPLOY_ROOT": self.folder / "deploy", "TRAIN_OUTPUT_ROOT": self.folder / "train"}
        return SimpleNamespace(
            name="quickstart-diffusion",
            actors=["ada"],
            dataset=None,
            full=self.full,
            roots=Roots(datasets=self.folder / "datasets", workspace=self.folder),
            train=SimpleNamespace(**paths),
            inference=SimpleNamespace(INFERENCE_OUTPUT_ROOT=self.folder / "inference"),
        )

    def deploy(self, argv: list[str]) -> int:
        self.calls.append(("deploy", *argv))
        write_json(self.folder / "deploy" / RUN / "network.onnx", {})
        return 0

    def animate(self, argv: list[str]) -> int:
        recordings = [Path(word).stem for word in argv[argv.index("--audio") + 1 :]]
        self.calls.append(("animate", *recordings))
        for name in recordings:
            take = f"{name}_ada_{name.rpartition('_')[2]}"
            write_json(self.folder / "inference" / RUN / take / f"{take}.xml", {})
        return 0

    def show(self, model: Path, dataset: object, shot: str, emotion: str, folder: Path, formats: object) -> None:
        self.calls.append(("show", shot))
        write_json(folder / f"{folder.name}.html", {})

    def quickstart(self) -> list[tuple[str, ...]]:
        """Runs it and returns what was made."""
        self.calls = []
        assert quickstart_command.main([]) == 0
        return self.calls


@pytest.fixture
def stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stages:
    stages = Stages(tmp_path)
    monkeypatch.setenv("A2F_DATASETS_ROOT", str(tmp_path / "datasets"))
    run = RunFolder(tmp_path / "train" / RUN)
    replaced: dict[str, Callable[..., Any]] = {
        "make_example": lambda *_, **__: [],
        "open_configuration": stages.configuration,
        "preprocess": lambda *_: SimpleNamespace(run=RunFolder(tmp_path / "preproc")),
        "trained_run": lambda *_: run,
        "score_quickstart": lambda *_: None,
        "voice_scores": lambda _: {},
        "show_shot": stages.show,
        "unseen_dataset": lambda *_: None,
    }
    for name, stand_in in replaced.items():
        monkeypatch.setattr(quickstart_command, name, stand_in)
    monkeypatch.setattr(quickstart_command.stages, "check", lambda _: 0)
    monkeypatch.setattr(deploy, "main", stages.deploy)
    monkeypatch.setattr(quickstart_command.animate, "main", stages.animate)
    monkeypatch.setattr(quickstart_command.ActorDataset, "open", lambda *_: SimpleNamespace(actor="ada"))
    return stages


def test_what_is_whole_is_kept(stages: Stages, tmp_path: Path) -> None:
    assert [call[0] for call in stages.quickstart()] == ["deploy", "animate", "animate", "show"]
    assert stages.quickstart() == []
    take = tmp_path / "inference" / RUN / "ben_u02_joy_ada_joy"
    (take / f"{take.name}.xml").write_text("cut off")
    assert stages.quickstart() == [("animate", "ben_u02_joy")]
    (tmp_path / "inference" / RUN / f"ada_{SHOWN}" / f"ada_{SHOWN}.html").unlink()
    assert stages.quickstart() == [("show", "ada_u03_neutral")]
    (tmp_path / "deploy" / RUN / "network.onnx").unlink()
    assert [call[0] for call in stages.quickstart()] == ["deploy"]


@pytest.mark.parametrize("changed", ["configuration", "export", "example", "code", "record"])
def test_other_inputs_make_all_anew(
    stages: Stages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    everything = stages.quickstart()
    if changed == "configuration":
        stages.full = {"inference": {"CONFIG": {"skin_strength": 1.2}}}
    elif changed == "export":
        write_json(tmp_path / "train" / RUN / "deploy/network.onnx", {"other": 1})
    elif changed == "example":
        write_json(tmp_path / "datasets/example/ben/example_dataset.json", {"source": "2"})
    elif changed == "code":
        monkeypatch.setattr(reuse, "_code_digest", lambda: "another")
    else:
        (tmp_path / "inference" / RUN / RECORD_FILE).write_text('{"inputs": 3')
    assert stages.quickstart() == everything


def test_a_call_that_was_stopped_goes_on_where_it_was(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(quickstart_command, "show_shot", interrupted)
        quickstart_command.main([])
    assert stages.quickstart() == [("show", "ada_u03_neutral")]


def test_a_result_without_a_record_is_not_whole(tmp_path: Path) -> None:
    kept = KeptResults(tmp_path / RECORD_FILE, {})
    assert not kept.is_whole("model", tmp_path / "nowhere")
    kept.add("model", tmp_path)
    assert not kept.is_whole("other", tmp_path)
