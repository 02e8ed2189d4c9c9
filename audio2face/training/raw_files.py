"""What the animation of a recording by a trained network leaves on disk, whichever network it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from audio2face.config_base.types import Device
from audio2face.dataset.arrays import Float32Array
from audio2face.errors import UserError
from audio2face.evaluate.difference import Difference
from audio2face.export import RawMotion, write_maya_caches, write_rows, write_transforms
from audio2face.inference import GraphDevice, best_device


@dataclass(frozen=True)
class Animated:
    """What came of one recording.

    Attributes:
        name: what its files are called.
        files: the files.
        difference: how far the mode that it was compared with lies from it.
    """

    name: str
    files: list[Path]
    difference: Difference | None


@dataclass(frozen=True)
class RawOutput:
    """What the network says itself.

    Attributes:
        blocks: its values, `[n, width]` each.
        width: values of a frame.
    """

    blocks: Iterable[Float32Array]
    width: int


def write_raw(
    motion: RawMotion, output: RawOutput, folder: Path, name: str, *, maya: bool, npy: bool, suffix: str = ""
) -> list[Path]:
    """Writes an animation.

    Args:
        motion: the motion of the face.
        output: what the network says itself.
        folder: where the files go.
        name: of the files.
        maya: whether Maya caches are written.
        npy: whether NumPy arrays are written: the output, jaw and eyes.
        suffix: of the names of Maya caches.

    Returns:
        The files.

    Raises:
        UserError: a file cannot be written.
    """
    files: list[Path] = []
    if maya:
        files += write_maya_caches(motion, folder, name, suffix)
    if npy:
        files.append(write_rows(folder / f"{name}.npy", output.blocks, motion.num_frames, output.width))
        files += write_transforms(motion, folder, name)
    return files


def graph_device(device: Device) -> GraphDevice:
    """The device of an exported network.

    Raises:
        UserError: ONNX Runtime does not run on it.
    """
    if device == "auto":
        return best_device()
    if device == "mps":
        raise UserError("the exported network runs on 'cpu' or 'cuda', not on 'mps'", hint="Give --device cpu.")
    return device
