"""What there is to work with: what is broken is status 1, what is optional and missing says how to install it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audio2face.cli import doctor


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with data roots; nothing slow is looked at."""
    for name in ("HOME", "DATASETS_ROOT", "WORKSPACE_ROOT"):
        folder = tmp_path / name.lower()
        folder.mkdir()
        monkeypatch.setenv(f"A2F_{name}", str(folder))
    looks = {name: look for name, look in doctor._LOOKS.items() if name not in ("devices", "speech encoders")}
    monkeypatch.setattr(doctor, "_LOOKS", looks)
    monkeypatch.setattr(doctor, "differing_packages", lambda _: [])
    return tmp_path


def _findings(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, dict[str, str]]]:
    status = doctor.main(["--json"])
    return status, {finding["what"]: finding for finding in json.loads(capsys.readouterr().out)}


def test_what_works_is_status_0(capsys: pytest.CaptureFixture[str], folders: Path) -> None:
    status, findings = _findings(capsys)
    assert status == 0
    assert str(folders / "workspace_root") in findings["workspace"]["found"]
    assert findings["home folder"]["state"] == "optional"
    assert "audio2face init" in findings["home folder"]["hint"]
    assert doctor.main([]) == 0
    assert "extra train" in capsys.readouterr().out


def test_a_missing_extra_says_what_installs_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "missing", lambda extra: ["pxr"] if extra == "usd" else [])
    monkeypatch.setattr(doctor, "install_hint", lambda extra: f'pip install "audio2face[{extra}]"')
    status, findings = _findings(capsys)
    assert status == 0
    assert findings["extra usd"]["state"] == "optional"
    assert findings["extra usd"]["hint"] == 'pip install "audio2face[usd]"'


def test_what_is_broken_is_status_1(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def unusable() -> list[doctor.DoctorItem]:
        raise OSError("libtorch.so: wrong ELF class")

    monkeypatch.setitem(doctor._LOOKS, "devices", lambda: iter(unusable()))
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    monkeypatch.setattr(doctor, "in_repository", lambda: True)
    monkeypatch.setattr(doctor, "differing_packages", lambda _: ["numpy 1.0", "rich (missing)"])
    status, findings = _findings(capsys)
    assert status == 1
    assert {name for name, finding in findings.items() if finding["state"] == "broken"} == {
        "devices",
        "datasets",
        "workspace",
        "requirements.lock",
    }
    assert "A2F_WORKSPACE_ROOT" in findings["workspace"]["hint"]
    assert "wrong ELF class" in findings["devices"]["found"]
    assert "numpy 1.0, rich (missing)" in findings["requirements.lock"]["found"]


def test_a_lock_is_compared_with_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    version = doctor.metadata.version("rich")
    lock = f"""rich=={version} \\
    --hash=sha256:00
pytest==0.1 \\
    --hash=sha256:00
not-a-package-of-anyone==1.0 \\
    --hash=sha256:00
not-for-this-python==1.0 ; python_full_version < '3.0' \\
    --hash=sha256:00
"""
    installed = doctor.metadata.version("pytest")
    assert doctor.differing_packages(lock) == [f"pytest {installed}", "not-a-package-of-anyone (missing)"]
