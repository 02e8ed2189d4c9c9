"""Locates datasets and workspace, and resolves configured paths."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from audio2face.config_base.types import RootName, has_control_characters
from audio2face.errors import UserError
from audio2face.home import find_home


@dataclass(frozen=True)
class Roots:
    """The three folders that a container sees as /datasets, /workspace and /framework.

    Attributes:
        datasets: raw data.
        workspace: output of the stages.
        framework: the home folder, with `configs/`, see `audio2face.home`.
    """

    datasets: Path
    workspace: Path
    framework: Path = field(default_factory=find_home)

    @classmethod
    def from_environment(cls) -> Roots:
        """Returns A2F_DATASETS_ROOT and A2F_WORKSPACE_ROOT, else `datasets` and `workspace` of the home folder.

        Inside the container (A2F_IN_CONTAINER=1) they are the mount points.
        """
        if os.environ.get("A2F_IN_CONTAINER") == "1":
            return cls(Path("/datasets"), Path("/workspace"))
        home = find_home()
        return cls(
            Path(os.environ.get("A2F_DATASETS_ROOT") or home / "datasets").absolute(),
            Path(os.environ.get("A2F_WORKSPACE_ROOT") or home / "workspace").absolute(),
            home,
        )

    def resolve(self, configured: str, default: RootName) -> Path:
        """Turns a configured path into a path of this machine.

        `/datasets/...`, `/workspace/...` and `/framework/...` are resolved below the roots, a relative path below the
        default root; other absolute paths stay unchanged.

        Args:
            configured: the path as written in a configuration.
            default: the root of relative paths.

        Raises:
            UserError: the path is empty, holds control characters, or leaves its root by `..`.
        """
        if not configured.strip() or has_control_characters(configured):
            raise UserError(f"path {configured!a} is empty or holds control characters")
        parts = PurePosixPath(configured).parts
        mounts = {"datasets": self.datasets, "workspace": self.workspace, "framework": self.framework}
        if parts[:1] == ("/",) and len(parts) > 1 and parts[1] in mounts:
            root, below = mounts[parts[1]], parts[2:]
        elif configured.startswith("/") or Path(configured).is_absolute():
            return Path(configured)
        else:
            root, below = mounts[default], parts
        if _escapes(below):
            raise UserError(f"path {configured!r} leaves its root folder by '..'", hint="Give an absolute path.")
        return root.joinpath(*below)

    def portable(self, path: Path) -> str:
        """A path as a configuration names it, relative to its root, so that it stays valid when the root moves."""
        for name, root in (("workspace", self.workspace), ("datasets", self.datasets)):
            if path.is_relative_to(root):
                return f"/{name}/{path.relative_to(root).as_posix()}"
        return str(path)


def _escapes(parts: tuple[str, ...]) -> bool:
    """Returns whether following the parts one by one ever leaves the starting folder."""
    depth = 0
    for part in parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return False
