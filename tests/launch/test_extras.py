"""What a base installation lacks is said in one message, with the command that installs it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from audio2face import extras, home
from audio2face.audio.media_frames import open_container
from audio2face.cli.main import COMMANDS, run_command
from audio2face.errors import UserError
from audio2face.outputs import check_formats

ROOT = Path(__file__).parents[2]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As from a wheel, without any package of an extra."""
    monkeypatch.setattr(home, "PACKAGES", tmp_path)
    for names in extras.EXTRAS.values():
        for name in names:
            monkeypatch.setitem(sys.modules, name, None)  # type: ignore[arg-type]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("key", "extra"), [("video", "video"), ("glb", "gltf"), ("usd", "usd")])
def test_a_format_says_what_installs_it(key: str, extra: str) -> None:
    with pytest.raises(UserError, match=f"the format '{key}' needs what is not installed here: ") as caught:
        check_formats(["npy", key])
    assert caught.value.hint == f'pip install "audio2face[{extra}]"'


@pytest.mark.usefixtures("installed")
def test_base_formats_need_nothing() -> None:
    check_formats(["page", "npy", "pc2", "mdd", "maya", "csv", "arkit"])


@pytest.mark.usefixtures("installed")
def test_a_film_says_what_reads_it(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"a recording of the kind '\.mp4' needs what is not installed here: av\n"
    ) as caught:
        open_container(tmp_path / "film.mp4").__enter__()
    assert caught.value.hint == 'pip install "audio2face[video]"'


@pytest.mark.usefixtures("installed")
def test_all_that_lacks_is_one_command() -> None:
    with pytest.raises(UserError) as caught:
        extras.require("audio2face quickstart", *COMMANDS["quickstart"].extras)
    assert caught.value.hint == 'pip install "audio2face[train,example,video,gltf]"'
    assert caught.value.problem.count("matplotlib") == 1


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("words", [["train", "mine"], ["sweep", "mine", "--set", "NUM_EPOCHS=1,2"]])
def test_a_command_says_what_installs_it(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run_command(words[0], words[1:])
    assert 'pip install "audio2face[train]"' in capsys.readouterr().err


def test_in_the_repository_the_hint_is_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pxr", None)  # type: ignore[arg-type]
    with pytest.raises(UserError) as caught:
        check_formats(["usd"])
    assert ".venv" in str(caught.value.hint)
    assert "pip install" not in str(caught.value.hint)


def test_what_the_repository_lacks_is_installed_into_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mediapipe", None)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="a film needs what is not installed here: mediapipe") as caught:
        extras.require("a film", "capture")
    assert str(caught.value.hint).endswith('python -m pip install "mediapipe>=1.2.3" "av>=14.0"')


def test_extras_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = project["optional-dependencies"]
    assert set(extras.EXTRAS) <= set(declared)
    (everything,) = declared["all"]
    assert set(re.findall(r"\w+", everything.partition("[")[2])) == set(extras.EXTRAS) - set(extras.APART)
    assert {name: tuple(declared[name]) for name in extras.APART} == dict(extras.APART)
    base = {re.split(r"[<>=]", requirement)[0] for requirement in project["dependencies"]}
    assert not base & {"torch", "matplotlib", "transformers", "av", "onnx", "usd-core", "pygltflib"}


def test_commands_of_the_base_start_without_extras() -> None:
    """Animating, looking over a deployed folder and others import nothing that an extra brings."""
    lacking = sorted({name for names in extras.EXTRAS.values() for name in names})
    modules = sorted(command.module for command in COMMANDS.values() if not command.extras)
    assert {"audio2face.cli.animate", "audio2face.cli.stages", "audio2face.cli.deploy"} <= set(modules)
    # A finder: SciPy looks into what `sys.modules` holds under the name of PyTorch, even if that is None.
    code = f"""import importlib, sys
class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {lacking}:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Lacking())
for name in {[*modules, "audio2face.api"]}:
    importlib.import_module(name)
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
