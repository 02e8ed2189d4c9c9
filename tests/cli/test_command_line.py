"""What every command understands: logging, completion in shells, and mistakes in one line that says what to type."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from audio2face import log_settings
from audio2face.cli import completion, parsers
from audio2face.cli.main import main
from audio2face.console import LOGGER, fail, fields, start_logging, track
from audio2face.errors import UserError

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """No options of logging, neither before nor after."""
    for name in (log_settings.LEVEL_VARIABLE, log_settings.FORMAT_VARIABLE):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("A2F_PROGRAM", "audio2face")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("trian my-config", "there is no 'trian'; did you mean train?"),
        ("train", "CONFIG_NAME is missing; type: audio2face train my-config"),
        ("train my-config another", "'another' is one argument too many; type: audio2face train my-config"),
        ("train my-config --devices 2 --devices 4", "--devices is given twice; give it once"),
        ("train my-config --finish", "--finish needs --resume"),
        ("train my-config -v -q", "not allowed with argument -v"),
        ("preproc my-config ada --resume", "there is no option --resume here; audio2face train has it."),
        ("check my-config --jsn report.json", "there is no option --jsn here; did you mean --json?"),
        ("animate my-config run --format gltf2", "there is no 'gltf2'"),
        ("init new --network difusion", "--network: there is no 'difusion'; did you mean diffusion?"),
        ("init new --rate fast", "'fast' is not a number above 0"),
        ("deploy", "give CONFIG_NAME"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_type(words: str, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(words.split())
    assert end.value.code == 2
    error = capfd.readouterr().err
    assert error.startswith("audio2face")
    assert said in error
    assert error.count("\n") == 1


def test_without_configurations_it_says_where_they_may_be(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "audio2face", "check", "mine"]
    environment = os.environ | {"A2F_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    assert "audio2face init NAME" in done.stderr
    assert "A2F_HOME" in done.stderr


def test_an_environment_that_lacks_a_package_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "stage.py").write_text("import a_package_that_is_not_there\n")
    command = [sys.executable, str(ROOT / "audio2face/cli/stage_process.py"), str(tmp_path / "stage.py")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "has no package 'a_package_that_is_not_there'" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_command_takes_the_options_of_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    for stage in parsers.PARSERS:
        if stage == "tests":  # pytest has its own
            assert parsers.parse(stage, ["-v"]).pytest_arguments == ["-v"]
            continue
        names = parsers.PARSERS[stage]().format_help()
        assert all(option in names for option in log_settings.OPTIONS), stage
    args = parsers.parse("train", ["my-config", "--quiet", "--log-json"])
    assert (log_settings.level(), log_settings.is_json()) == (logging.WARNING, True)
    assert not vars(args).keys() & {"verbose", "quiet", "log_json"}  # settings of nothing that is computed
    parsers.parse("check", ["my-config"])  # a stage within another one keeps them
    assert log_settings.is_json()


def test_quiet_and_verbose_change_what_the_terminal_shows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shown = {}
    for level in ("", "WARNING", "DEBUG"):
        monkeypatch.setenv(log_settings.LEVEL_VARIABLE, level)
        start_logging(tmp_path / f"{level}.log")
        for log in (LOGGER.debug, LOGGER.info, LOGGER.warning):
            log("one line")
        logging.getLogger("another").debug("of a library")
        shown[level] = capsys.readouterr().out.count("\n")
        assert (tmp_path / f"{level}.log").read_text().count("\n") == 2  # a run's own log is always the same
    assert shown == {"": 2, "WARNING": 1, "DEBUG": 3}


def test_a_log_in_json_is_one_object_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(log_settings.FORMAT_VARIABLE, "json")
    monkeypatch.setattr("audio2face.console._QUIET_LINE_SECONDS", -1.0)
    start_logging()
    LOGGER.info("step %d\nof many", 3, extra=fields(event="training", step=3, loss=0.5))
    list(track([1, 2], 2, "counting"))
    with pytest.raises(SystemExit):
        fail(UserError("is not there", path=Path("a.wav"), hint="Record it."))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["level"] for line in lines] == ["INFO", "INFO", "INFO", "ERROR"]
    assert lines[0]["message"] == "step 3\nof many"
    assert (lines[0]["event"], lines[0]["loss"]) == ("training", 0.5)
    assert lines[2]["event"] == "progress"
    assert lines[2]["share"] == 1.0
    assert lines[3] | {"time": ""} == {
        "time": "",
        "level": "ERROR",
        "message": "is not there",
        "path": "a.wav",
        "hint": "Record it.",
    }
    assert lines[0]["time"].endswith("+00:00")


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_shell_completes_commands_and_options(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert completion.main([shell]) == 0
    script = capsys.readouterr().out
    assert all(word in script for word in ("run-all", "devices", "quickstart"))
    if shutil.which(shell):
        assert subprocess.run([shell, "-n"], input=script, text=True).returncode == 0


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_names_of_configurations_are_completed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    completion.main(["bash"])
    (tmp_path / "script").write_text(capsys.readouterr().out)
    (tmp_path / "configs/mary").mkdir(parents=True)
    (tmp_path / "workspace/output_train/261123_101500_mary").mkdir(parents=True)
    asked = (
        ("(audio2face train ma)", 2, "mary"),
        ("(audio2face train mary --resume 26)", 4, "261123_101500_mary"),
        ("(audio2face chec)", 1, "check"),
    )
    for words, place, completed in asked:
        code = f"source ./script; COMP_WORDS={words}; COMP_CWORD={place}; _shtab_audio2face audio2face "
        code += f'"${{COMP_WORDS[{place}]}}"; echo "${{COMPREPLY[@]}}"'
        environment = {"PATH": os.environ["PATH"], "A2F_HOME": "."}
        done = subprocess.run(["bash", "-c", code], cwd=tmp_path, capture_output=True, text=True, env=environment)
        assert done.stdout.split() == [completed], done.stderr
