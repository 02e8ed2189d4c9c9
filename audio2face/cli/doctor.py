"""Shows what there is to work with: Python, packages, folders, devices, weights; and what is broken.

Nothing is downloaded and nothing is changed.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from packaging.requirements import InvalidRequirement, Requirement
from rich.markup import escape
from rich.table import Table

from audio2face import __version__
from audio2face.cli import parsers
from audio2face.cli.process import run_stage
from audio2face.cli.settings import SETTINGS
from audio2face.config import Roots
from audio2face.console import console
from audio2face.errors import reason_of
from audio2face.extras import EXTRAS, install_hint, missing
from audio2face.home import PACKAGES, home_rule, in_repository

State = Literal["ok", "optional", "broken"]
_MARKS: dict[State, str] = {"ok": "[green]ok[/]", "optional": "[yellow]--[/]", "broken": "[red]broken[/]"}
_LEAST_FREE = 1e9  # bytes; a small run takes about as much
_LOCK = "requirements.lock"
_MOST_NAMED = 4
# As the process was started: `run_stage` sets A2F_HOME for whatever it runs.
_HOME_RULE = home_rule()


@dataclass(frozen=True)
class DoctorItem:
    """One line of the table.

    Attributes:
        what: is looked at.
        state: whether it works, is missing without harm, or is broken.
        found: what there is.
        hint: what to type, where something is missing or broken.
    """

    what: str
    state: State
    found: str
    hint: str = ""


def main(argv: list[str]) -> int:
    """Returns the exit status: 1 where something is broken."""
    args = parsers.parse("doctor", argv)
    findings = list(examine())
    if args.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=4))
    else:
        table = Table("", "", "found", "to do", show_lines=False)
        for finding in findings:
            table.add_row(finding.what, _MARKS[finding.state], escape(finding.found), escape(finding.hint))
        console().print(table)
    return 1 if any(finding.state == "broken" for finding in findings) else 0


def examine() -> Iterator[DoctorItem]:
    """Looks at everything, in the order of the table. What fails unexpectedly is broken, and the rest goes on."""
    for what, look in _LOOKS.items():
        try:
            yield from look()
        except Exception as error:  # whatever a library raises is a finding
            yield DoctorItem(what, "broken", reason_of(error))


def _python() -> Iterator[DoctorItem]:
    yield DoctorItem("Python", "ok", f"{platform.python_version()}, {sys.executable}")
    origin = f"repository {PACKAGES}" if in_repository() else f"installed in {PACKAGES}"
    yield DoctorItem("audio2face", "ok", f"{__version__}, {origin}")


def _home() -> Iterator[DoctorItem]:
    home = Roots.from_environment().framework
    state: State = "ok" if (home / "configs").is_dir() else "optional"
    hint = "" if state == "ok" else "audio2face init NAME makes configs there"
    yield DoctorItem("home folder", state, f"{home} ({_HOME_RULE})", hint)
    settings = home / ".env"
    names = [name for name in SETTINGS if settings.is_file() and os.environ.get(name)]
    yield DoctorItem(
        ".env", "ok", f"{settings}: {', '.join(names)}" if settings.is_file() else "none, the defaults apply"
    )


def _folders() -> Iterator[DoctorItem]:
    roots = Roots.from_environment()
    for what, folder, is_written in (("datasets", roots.datasets, False), ("workspace", roots.workspace, True)):
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(existing).free
        found = f"{folder}, {free / 1e9:.0f} GB free"
        if existing != folder:
            found += ", not made yet"
        if not os.access(existing, os.R_OK | os.X_OK) or (is_written and not os.access(existing, os.W_OK)):
            yield DoctorItem(what, "broken", f"{found}, may not be {'written' if is_written else 'read'}", _other(what))
        elif is_written and free < _LEAST_FREE:
            yield DoctorItem(what, "broken", found, f"Free some space. {_other(what)}")
        elif not is_written and existing != folder:
            yield DoctorItem(what, "optional", found, "audio2face init takes data of any folder")
        else:
            yield DoctorItem(what, "ok", found)


def _other(what: str) -> str:
    return f"Choose another folder: A2F_{what.upper()}_ROOT in .env."


def _extras() -> Iterator[DoctorItem]:
    for extra in EXTRAS:
        lacking = missing(extra)
        if lacking:
            yield DoctorItem(f"extra {extra}", "optional", f"not installed: {', '.join(lacking)}", install_hint(extra))
        else:
            yield DoctorItem(f"extra {extra}", "ok", "installed")


def _devices() -> Iterator[DoctorItem]:
    runtime = importlib.import_module("onnxruntime")
    providers = ", ".join(name.removesuffix("ExecutionProvider") for name in runtime.get_available_providers())
    yield DoctorItem("ONNX Runtime", "ok", f"{runtime.__version__}: {providers}")
    if "torch" in missing("train"):
        yield DoctorItem("PyTorch", "optional", "not installed: animates, does not train", install_hint("train"))
        return
    import torch

    yield DoctorItem("PyTorch", "ok", torch.__version__)
    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    built = f"built for CUDA {torch.version.cuda}, which finds no GPU" if torch.version.cuda else "built without CUDA"
    yield DoctorItem("CUDA", "ok" if names else "optional", ", ".join(names) or built)
    has_mps = torch.backends.mps.is_available()
    yield DoctorItem("MPS", "ok" if has_mps else "optional", "available" if has_mps else "not on this machine")


def _encoders() -> Iterator[DoctorItem]:
    if missing("train"):
        return
    from audio2face.models.encoders.registry import available, ready  # loads torch

    root = os.environ.get("A2F_MODELS_ROOT")
    here = ready(Path(root) if root else None)
    absent = [name for name in available() if name not in here]
    found = f"weights here: {', '.join(here)}"
    hint = f"{', '.join(absent)}: downloaded by training, or installed" if absent else ""
    yield DoctorItem("speech encoders", "ok" if here else "broken", found, hint)


def _uv() -> Iterator[DoctorItem]:
    path = shutil.which("uv")
    yield DoctorItem("uv", "ok" if path else "optional", path or "not found: pip installs, which takes longer")


def _lock() -> Iterator[DoctorItem]:
    if not in_repository():
        return
    other = differing_packages((PACKAGES / _LOCK).read_text(encoding="utf-8"))
    if not other:
        yield DoctorItem(_LOCK, "ok", "installed as locked")
        return
    named = ", ".join(other[:_MOST_NAMED]) + (
        f" and {len(other) - _MOST_NAMED} more" if len(other) > _MOST_NAMED else ""
    )
    yield DoctorItem(_LOCK, "broken", f"other versions are installed: {named}", "Any run_*.py brings .venv up to date.")


def differing_packages(lock: str) -> list[str]:
    """Packages of a lock file that are installed in another version or not at all, each as `name version`.

    Args:
        lock: its text: a line `name==version ; marker \\` for each package, followed by hashes.
    """
    other = []
    for line in re.findall(r"^[A-Za-z0-9].*==.*?(?=\s*\\?$)", lock, re.MULTILINE):
        try:
            locked = Requirement(line)
        except InvalidRequirement:
            continue
        if locked.marker is not None and not locked.marker.evaluate():
            continue
        try:
            version = metadata.version(locked.name)
        except metadata.PackageNotFoundError:
            other.append(f"{locked.name} (missing)")
            continue
        if not locked.specifier.contains(version, prereleases=True):
            other.append(f"{locked.name} {version}")
    return other


_LOOKS: dict[str, Callable[[], Iterator[DoctorItem]]] = {
    "Python": _python,
    "home folder": _home,
    "folders": _folders,
    "extras": _extras,
    "devices": _devices,
    "speech encoders": _encoders,
    "uv": _uv,
    _LOCK: _lock,
}


if __name__ == "__main__":
    run_stage(main)
