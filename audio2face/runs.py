"""Run folders: their names, status, lock and metadata, and the search for finished runs."""

from __future__ import annotations

import json
import platform
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from audio2face import __version__
from audio2face.config import Configuration, Roots
from audio2face.console import LOGGER, fields, start_logging
from audio2face.errors import UserError, check_identifier
from audio2face.io.atomic import write_json, write_text
from audio2face.io.claims import exclusive_or_fail, remove_leftovers
from audio2face.run_names import CONFIGURATION_FILE, configured_name, find_model, run_folders

STATUS_FILE = "status.json"
LOCK_FILE = ".lock"  # of a run that a process computes
OVERRIDES_FILE = "configs/overrides.json"  # of a run that was given parameters as arguments
_RECORDED_PACKAGES = ("numpy", "scipy", "torch", "onnxruntime", "transformers", "soundfile")


@dataclass(frozen=True)
class RunFolder:
    """A folder that one run of a stage fills.

    Attributes:
        path: the folder; its last part is the full name of the run.
    """

    path: Path

    @property
    def name(self) -> str:
        """The full name: date, time and the configured name, such as `261123_101500_example`."""
        return self.path.name

    @property
    def run_name(self) -> str | None:
        """The configured name (RUN_NAME), which follows date and time; None for other names of folders."""
        return configured_name(self.name)

    @classmethod
    def create(cls, root: Path, run_name: str) -> RunFolder:
        """Makes a new, empty folder named after the current local time and `run_name`.

        Of two runs within a second, the later one waits for a time of its own.

        Raises:
            UserError: the name is not allowed, or the folder cannot be made.
        """
        check_identifier(run_name, "RUN_NAME")
        while True:
            path = root / f"{datetime.now():%y%m%d_%H%M%S}_{run_name}"
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                time.sleep(0.2)
            except OSError as error:
                raise UserError(f"cannot make the run folder: {error.strerror}", path=path) from error
            else:
                return cls(path)

    @contextmanager
    def status(self) -> Iterator[None]:
        """Records the run's status (running, then done, failed or stopped) and logs to its `log.log` meanwhile."""
        start_logging(self.path / "log.log")
        began = time.time()
        outcome = "failed"
        self._write_status("running", began)
        try:
            yield
            outcome = "done"
        except KeyboardInterrupt:
            outcome = "stopped"
            raise
        finally:
            self._write_status(outcome, began)

    def _write_status(self, status: str, began: float) -> None:
        seconds = round(time.time() - began, 1)
        write_json(self.path / STATUS_FILE, {"status": status, "seconds": seconds})

    @property
    def is_done(self) -> bool:
        """Whether the run finished."""
        try:
            return bool(json.loads((self.path / STATUS_FILE).read_text(encoding="utf-8"))["status"] == "done")
        except (OSError, ValueError, KeyError, TypeError):
            return False


@contextmanager
def run_lock(run: RunFolder) -> Iterator[None]:
    """Locks a run folder for this process.

    Raises:
        UserError: another process uses it, or it cannot be written to.
    """
    with ExitStack() as stack:
        try:
            is_ours = stack.enter_context(exclusive_or_fail(run.path / LOCK_FILE))
        except OSError as error:
            raise UserError(
                f"the run folder cannot be written to: {error.strerror}", path=run.path, hint="Check its permissions."
            ) from error
        if not is_ours:
            raise UserError(
                "another process is computing this run", path=run.path, hint="Wait for it, or stop it first."
            )
        yield


def remove_temporary_files(run: RunFolder) -> None:
    """Removes temporary files of killed processes."""
    remove_leftovers(run.path, everywhere=True)


def record(folder: RunFolder, configuration: Configuration, **facts: Any) -> None:
    """Writes the metadata of a run into its `configs/`: configuration, settings as given and as merged, and versions.

    Args:
        folder: the run.
        configuration: the configuration of the run.
        facts: JSON values by file stem, such as `actor_info={"actor_name": "ada"}`.
    """
    target = folder.path / "configs"
    write_text(target / "VERSION.md", __version__)
    own = configuration.full.get(configuration.stage, {})
    write_text(target / "info.txt", str(own.get("RUN_INFO", "")))
    for kind, modifier in configuration.modifiers.items():
        write_json(target / f"config_{kind}_modifier.json", modifier)
    for kind, full in configuration.full.items():
        write_json(target / f"config_{kind}_full.json", full)
    if configuration.overrides:
        write_json(folder.path / OVERRIDES_FILE, configuration.overrides)
    for stem, value in facts.items():
        write_json(target / f"{stem}.json", value)
    write_json(target / "state.json", state(configuration.roots))
    configuration.save(folder.path / CONFIGURATION_FILE)


def state(roots: Roots) -> dict[str, Any]:
    """Returns software versions and data roots of a run; user and machine stay private (null)."""
    commit = _git(roots.framework, "rev-parse", "--short=7", "HEAD")
    changes = _git(roots.framework, "status", "--porcelain")
    return {
        "framework": {
            "version": __version__,
            "git_branch": _git(roots.framework, "rev-parse", "--abbrev-ref", "HEAD"),
            "git_commit": commit,
            "git_clean": None if changes is None else changes == "",
        },
        "machine": {"hostname": None, "user": None},
        "path_mapping": {
            "/framework": None,
            "/datasets": str(roots.datasets),
            "/workspace": str(roots.workspace),
        },
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _RECORDED_PACKAGES if _version(name)},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git(folder: Path, *arguments: str) -> str | None:
    """Returns the output of git, or None where git or the repository is missing."""
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def finished_runs(root: Path) -> list[RunFolder]:
    """Returns the finished runs under `root`, newest first."""
    folders = [RunFolder(path) for path in run_folders(root)]
    return [folder for folder in folders if folder.is_done]


def deployed_model(text: str) -> Path:
    """The folder of a deployed model: given as a path, or as its name (or a part of one) in the workspace.

    Raises:
        UserError: the name is that of no model, or of several.
    """
    return find_model(text, Roots.from_environment().workspace / "output_deploy")


def log_outputs(results: dict[str, Path], next_steps: list[str]) -> None:
    """Logs the outputs of a finished stage and the next commands."""
    width = max((len(label) for label in results), default=0)
    LOGGER.info("-" * 80)
    for label, path in results.items():
        LOGGER.info("%s  %s", label.ljust(width), path, extra=fields(event="result", what=label.rstrip(":"), path=path))
    for number, step in enumerate(next_steps):
        LOGGER.info("%s %s", "Next:" if number == 0 else "  or:", step)
    LOGGER.info("-" * 80)
