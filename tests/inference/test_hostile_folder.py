"""A deployed folder and a recording may come from anybody: inference writes below its output folder or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio2face.cli import animate as animate_command
from audio2face.cli.process import run_stage
from audio2face.errors import UserError


def tree(root: Path) -> dict[str, int]:
    """Every file below a folder with the time of its last change."""
    return {str(path): path.stat().st_mtime_ns for path in root.rglob("*")}


@pytest.fixture
def recording(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(stem: bytes) -> Path:
        path = Path(os.fsdecode(os.fsencode(tmp_path / "sounds") + b"/" + stem + b".wav"))
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as handle:
            soundfile.write(handle, np.zeros(1600), 16000, format="WAV")
        return path

    return write


@pytest.mark.parametrize("name", ["../../evil", "..", "/tmp/evil", "a/b", "a\\b", "a\nb", "x" * 5000])
@pytest.mark.parametrize("key", ["identities", "emotions"])
def test_nothing_is_written_outside(
    diffusion: Path, tmp_path: Path, recording: Callable[[bytes], Path], key: str, name: str
) -> None:
    info = json.loads((diffusion / "network_info.json").read_text())
    info["params"][key][0] = name
    (diffusion / "network_info.json").write_text(json.dumps(info))
    audio, before = recording(b"a"), tree(tmp_path)
    chosen = ["--actor", "ben"] if key == "identities" else ["--actor", "ada", "--emotion", name]
    with pytest.raises(UserError, match=rf"params\.{key}\[0\] is"):
        animate_command.main(["--model", str(diffusion), "--to", str(tmp_path / "out"), "--audio", str(audio), *chosen])
    assert tree(tmp_path) == before


@pytest.mark.parametrize("stem", [b"a\nb", b"\xff\xfe", b"x" * 230, "ж".encode() * 110, b"a\x1b[2Jb", b"a\\b"])
def test_recordings_whose_names_make_no_file(
    deployed: Path, tmp_path: Path, recording: Callable[[bytes], Path], stem: bytes
) -> None:
    audio = recording(stem)
    command = ["--model", str(deployed), "--to", str(tmp_path / "out")]
    with pytest.raises(UserError, match=r"made of recording, actor and emotion|surrogates not allowed") as caught:
        animate_command.main([*command, "--actor", "ada", "--format", "usd", "--audio", str(audio)])
    assert str(caught.value).replace("\n", "").isprintable()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("stem", ["plain", "</script><script>alert(1)</script>".replace("/", "-"), "a 'b' \"c\" & <d>"])
def test_every_form_of_odd_names(
    regression: Path, tmp_path: Path, recording: Callable[[bytes], Path], stem: str
) -> None:
    """Names that file systems allow are written as they are, and a page takes none of them for markup."""
    out = tmp_path / "out"
    command = ["--model", str(regression), "--to", str(out), "--audio", str(recording(stem.encode())), "--format"]
    assert animate_command.main([*command, "page", "usd", "glb", "maya", "csv", "arkit"]) == 0
    page = next(out.rglob("*.html")).read_text()
    assert (
        page.count("<script")
        == page.count("</script>")
        == (Path("audio2face/player/web/page.html").read_text().count("<script"))
    )
    assert "<d>" not in page


@pytest.mark.parametrize("option", ["--audio", "--model", "--to", "--emotion", "--compare-with"])
def test_arguments_that_are_too_long(
    regression: Path, tmp_path: Path, recording: Callable[[bytes], Path], option: str, capfd: pytest.CaptureFixture[str]
) -> None:
    given = {"--model": str(regression), "--audio": str(recording(b"a")), "--to": str(tmp_path / "out")}
    given[option] = "x" * 5000 + ".csv"
    command = [word for pair in given.items() for word in pair]
    with pytest.raises(SystemExit) as ended:
        run_stage(animate_command.main, arguments=[*command, "--format", "csv"])
    message = capfd.readouterr().err
    assert (ended.value.code, message.count("[ERROR]"), "Traceback" in message) == (2, 1, False)
    assert not (tmp_path / "out").exists()
