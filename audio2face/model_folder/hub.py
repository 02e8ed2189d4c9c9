"""Publishes deployed folders on the Hugging Face Hub, and fetches them: plain data with checksums, never pickles.

Needs the extra `hub` (huggingface_hub), which also knows the user's login. `checksums.sha256` holds the SHA-256 of
every other file, as `sha256sum --check` reads it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, cast

from audio2face.errors import FileFormatError, UserError, reason_of
from audio2face.extras import install_hint
from audio2face.io.atomic import file_sha256, write_text
from audio2face.model_folder.card import read_licence
from audio2face.model_folder.model import lint
from audio2face.model_folder.trt_info import ENGINE_FILE, ONNX_FILE
from audio2face.model_folder.writer import README_FILE, staged_folder

# Formats that hold data only. Arrays in .npz are read without Python objects, which the lint checks.
_DATA_SUFFIXES = {".json", ".md", ".npz", ".onnx", ".safetensors", ".txt"}
CHECKSUM_FILE = "checksums.sha256"
_LINE = re.compile(r"(?P<digest>[0-9a-f]{64}) [ *](?P<name>[^\r\n]+)")
_MOST_FILES = 10_000


class HubApi(Protocol):
    """What is used of `huggingface_hub.HfApi`."""

    def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> Any:
        """Makes a repository of a model."""

    def upload_folder(self, *, repo_id: str, folder_path: Path, allow_patterns: list[str], commit_message: str) -> Any:
        """Uploads files in one commit; returns an object with `commit_url`."""

    def model_info(self, repo_id: str, *, revision: str | None) -> Any:
        """An object with `sha`, the commit of a revision."""

    def hf_hub_download(self, repo_id: str, filename: str, *, revision: str, local_dir: Path) -> Any:
        """Downloads a file."""


@dataclass(frozen=True)
class Published:
    """A model on the hub.

    Attributes:
        url: its page.
        files: the files that were sent.
        licence: its licence.
    """

    url: str
    files: tuple[str, ...]
    licence: str


def push(folder: Path, repo_id: str, *, private: bool = False, api: HubApi | None = None) -> Published:
    """Publishes a deployed folder in one commit, with the checksums of its files.

    Args:
        folder: the deployed folder.
        repo_id: `owner/name` on the hub; the repository is made where it is missing.
        private: make a missing repository visible to its owner only.
        api: the hub.

    Raises:
        UserError: the folder is faulty, its licence is not stated, it holds files that are no plain data, or the hub
            refuses.
    """
    _refuse_faults(folder)
    licence = _stated_licence(folder)
    files = _files_to_send(folder)
    hub = api or open_hub()
    write_checksums(folder, files)
    with _explained(repo_id):
        hub.create_repo(repo_id, private=private, exist_ok=True)
        commit = hub.upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            allow_patterns=[_literal_pattern(name) for name in (*files, CHECKSUM_FILE)],
            commit_message="Publish a deployed Audio2Face model",
        )
    return Published(str(getattr(commit, "commit_url", repo_id)), files, licence)


def pull(
    repo_id: str, target: Path, *, revision: str | None = None, force: bool = False, api: HubApi | None = None
) -> str | None:
    """Fetches a published folder; it appears complete, verified and valid, or not at all.

    Args:
        repo_id: `owner/name` on the hub.
        target: the folder that it becomes.
        revision: a branch, tag or commit; None: the newest.
        force: replace an existing deployed model.
        api: the hub.

    Returns:
        The licence that it states; None where it states none.

    Raises:
        UserError: there is no such repository, it has no checksums or holds other files than plain data, a file differs
            from its checksum, or the folder is faulty.
    """
    hub = api or open_hub()
    with staged_folder(target, force=force) as stage:
        with _explained(repo_id):
            commit = str(hub.model_info(repo_id, revision=revision).sha)
            _fetch(hub, repo_id, commit, CHECKSUM_FILE, stage)
        expected = read_checksums(stage / CHECKSUM_FILE)
        _refuse_others(repo_id, expected)
        for name in expected:
            with _explained(repo_id):
                _fetch(hub, repo_id, commit, name, stage)
        shutil.rmtree(stage / ".cache", ignore_errors=True)  # the hub's notes about its downloads
        check_files(stage, expected)
        return read_licence(stage / README_FILE) if (stage / README_FILE).is_file() else None


def open_hub() -> HubApi:
    """The hub as the user is logged in to it; raises UserError without its library."""
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise UserError("push and pull need the package huggingface_hub", hint=install_hint("hub")) from error
    return cast(HubApi, HfApi(library_name="audio2face"))


def _fetch(hub: HubApi, repo_id: str, commit: str, name: str, stage: Path) -> None:
    hub.hf_hub_download(repo_id, name, revision=commit, local_dir=stage)
    if not (stage / name).is_file():
        raise UserError(f"{name} is missing from the repository {repo_id!r}")


def _refuse_faults(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError("there is no such folder", path=folder, hint="Give the folder of a deployed model.")
    errors = [fault for fault in lint(folder)[1] if fault.severity == "error"]
    if errors:
        listed = "".join(f"\n  {fault.file}: {fault.problem} ({fault.hint})" for fault in errors)
        raise UserError(f"has faults, and is not published:{listed}", path=folder)


def _stated_licence(folder: Path) -> str:
    readme = folder / README_FILE
    licence = read_licence(readme) if readme.is_file() else None
    if licence is None:
        raise UserError(
            "does not state the licence under which the model may be passed on",
            path=readme,
            hint='Set MODEL_LICENSE = "cc-by-4.0", or what the training data allow, in config_train.py, and deploy '
            "again with --force.",
        )
    return licence


def _files_to_send(folder: Path) -> tuple[str, ...]:
    """The names of a folder's files, without an engine, which belongs to one GPU, and without hidden files.

    Raises:
        UserError: a file may hold a program, or lies outside the folder.
    """
    names = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() or name in (ENGINE_FILE, CHECKSUM_FILE) or any(part.startswith(".") for part in path.parts):
            continue
        if path.is_symlink() or not is_plain_path(name) or not _is_data(name):
            raise UserError(
                "is not published: only files of a deployed folder are "
                f"({', '.join(sorted(_DATA_SUFFIXES))}), which hold plain data",
                path=path,
                hint="Move it out of the folder.",
            )
        names.append(name)
    return tuple(names)


def _is_data(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in _DATA_SUFFIXES or name == f"{ONNX_FILE}.data"


def _refuse_others(repo_id: str, names: dict[str, str]) -> None:
    strangers = [name for name in names if not _is_data(name)]
    if strangers:
        raise UserError(
            f"the repository {repo_id!r} holds {strangers[0]}, which is not fetched: it may hold a program",
            hint=f"A deployed folder has only {', '.join(sorted(_DATA_SUFFIXES))}.",
        )


def _literal_pattern(name: str) -> str:
    """A pattern of file names that matches only this one."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


@contextmanager
def _explained(repo_id: str) -> Iterator[None]:
    """Turns errors of the hub's library into one message.

    Their classes differ between its releases (requests, httpx), so that anything else than our own counts as one.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        hint = "Check the connection, and the name OWNER/NAME."
        if status in (401, 403, 404):
            hint = "Check the name OWNER/NAME, and log in with a token that may do this: hf auth login."
        raise UserError(f"the hub did not serve {repo_id!r}: {reason_of(error)}", hint=hint) from error


def write_checksums(folder: Path, names: Iterable[str]) -> None:
    """Writes the checksums of files of a folder, replacing earlier ones."""
    lines = [f"{file_sha256(folder / name)}  {name}\n" for name in sorted(names)]
    write_text(folder / CHECKSUM_FILE, "".join(lines))


def read_checksums(path: Path) -> dict[str, str]:
    """The digest of each file by its path, which lies below the folder.

    Raises:
        FileFormatError: a line has another form, or names a file outside the folder, or one twice.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(f"cannot be read: {error}", path=path) from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if match is None or not is_plain_path(match["name"]) or match["name"] in found:
            raise FileFormatError(f"line {number} is no checksum of a file in this folder: {line[:200]!r}", path=path)
        found[match["name"]] = match["digest"]
    if not 0 < len(found) <= _MOST_FILES:
        raise FileFormatError(f"names {len(found)} files, expected 1 to {_MOST_FILES}", path=path)
    return found


def is_plain_path(name: str) -> bool:
    """Whether a name is a relative path below its folder, with `/` between its parts and none of them hidden."""
    parts = PurePosixPath(name).parts
    return (
        bool(parts)
        and name == "/".join(parts)
        and name.isprintable()
        and "\\" not in name
        and ":" not in name
        and not any(part.startswith(".") for part in parts)
    )


def check_files(folder: Path, expected: Mapping[str, str]) -> None:
    """Compares files with their checksums.

    Raises:
        UserError: one differs.
    """
    for name, digest in expected.items():
        if file_sha256(folder / name) != digest:
            raise UserError(
                f"{name} has another SHA-256 than {CHECKSUM_FILE} states",
                hint="It was damaged, or changed after it was published: pull it again, or ask its publisher.",
            )
