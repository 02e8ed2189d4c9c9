"""The extras of the package: what a base installation lacks, and how to install it.

`pip install audio2face` animates, checks, preprocesses and looks over deployed folders; `pyproject.toml` declares what
else there is. Code that needs a package of an extra calls `require` first, then imports it inside the function.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType

from audio2face.errors import UserError
from audio2face.home import PACKAGES, in_repository

# The modules of each extra that code imports.
EXTRAS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "train": (
            "torch",
            "lightning_fabric",
            "safetensors",
            "tensorboard",
            "onnx",
            "matplotlib",
            "python_stretch",
            "hama",
            "pocketsphinx",
        ),
        "hub": ("transformers", "huggingface_hub"),
        "usd": ("pxr",),
        "video": ("av", "matplotlib"),
        "gltf": ("pygltflib",),
        "serve": ("grpc", "google.protobuf"),
        "capture": ("mediapipe", "av"),
        "alembic": ("alembic3d",),
        "live": ("pythonosc", "websockets", "sounddevice"),
        "example": ("hibari", "python_stretch"),
    }
)

# Those that the repository's environment leaves out, because they are large and few need them, as pip takes them.
APART: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"capture": ("mediapipe>=1.2.3", "av>=14.0"), "alembic": ("alembic3d>=1.8.12",)}
)


def missing(extra: str) -> list[str]:
    """The modules of an extra that this environment lacks; none of them is loaded."""
    return [name for name in EXTRAS[extra] if not _is_installed(name)]


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the package that a module belongs to
        return False


def require(what: str, *extras: str, modules: Collection[str] | None = None) -> None:
    """Checks that extras are installed.

    Args:
        what: what needs them, as the start of a sentence, in the singular.
        extras: keys of `EXTRAS`.
        modules: those of the extras that it needs; all by default.

    Raises:
        UserError: modules are missing; the hint is the command that installs all of them.
    """
    needed = {extra: [name for name in missing(extra) if modules is None or name in modules] for extra in extras}
    lacking = {extra: names for extra, names in needed.items() if names}
    if lacking:
        listed = ", ".join(dict.fromkeys(name for names in lacking.values() for name in names))
        raise UserError(f"{what} needs what is not installed here: {listed}", hint=install_hint(*lacking))


def install_hint(*extras: str) -> str:
    """What to type to install extras into this environment."""
    if not in_repository():
        return f'pip install "audio2face[{",".join(extras)}]"'
    prepared = PACKAGES / ".venv"
    if any(extra in APART for extra in extras):
        packages = " ".join(f'"{package}"' for extra in extras for package in APART.get(extra, ()))
        return f"{prepared / 'bin/python'} -m pip install {packages}"
    if Path(sys.prefix).resolve() == prepared.resolve():
        return f"The environment in {prepared} is not whole: remove that folder, and any run_*.py makes it anew."
    return f"Use the repository's environment, which the host scripts (run_*.py) prepare: {prepared / 'bin/python'}"
