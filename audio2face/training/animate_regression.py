"""Stage 4 for regression networks, before the animator: recordings in, the network's own motion out, at any rate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audio2face.audio import Track
from audio2face.config_base.types import Device
from audio2face.console import track
from audio2face.dataset.arrays import Float32Array
from audio2face.errors import FileFormatError
from audio2face.evaluate.difference import compare_motion
from audio2face.export import RawMotion, spool
from audio2face.files import write_json
from audio2face.inference.regression_graph import FrameNetwork, RegressionGraph, animate_frames
from audio2face.inference.schedule import FrameSchedule
from audio2face.networks.regression import RegressionGraph as TorchGraph
from audio2face.training.engine import choose_device
from audio2face.training.inference_mode import Mode
from audio2face.training.raw_files import Animated, RawOutput, graph_device, write_raw
from audio2face.training.regression_task import DEPLOY_FOLDER
from audio2face.training.trained_regression import TrainedRegression

_BLOCK_FRAMES = 64


@dataclass(frozen=True, kw_only=True)
class RegressionWish:
    """What is to be animated how, and what is to be written.

    Attributes:
        emotion: EMOTION_LABEL.
        mode: by what the network is run; it has no other ways.
        fps: frames per second.
        source: shot and frame of the implicit emotion, either None to let one be chosen; None: as the run was
            configured.
        gain: what recordings are multiplied by (input_strength).
        device: what it is calculated on.
        maya: whether Maya caches are written.
        npy: whether NumPy arrays are written.
        compared_with: another mode to compare with.
    """

    emotion: str
    mode: Mode
    fps: Fraction
    source: tuple[str | None, int | None] | None = None
    gain: float = 1.0
    device: Device = "auto"
    maya: bool = True
    npy: bool = False
    compared_with: Mode | None = None


class RegressionAnimator:
    """Animates recordings with one network, which is loaded once.

    Args:
        model: the training run.
        wish: how.
    """

    def __init__(self, model: TrainedRegression, wish: RegressionWish) -> None:
        self.model, self.wish = model, wish
        self._emotion = model.emotion(wish.emotion, wish.source)

    def name_of(self, audio: Path) -> str:
        """What the files of a recording are called; dots in the name of the recording stay."""
        return f"{audio.stem}_{self.model.actor}_{self.wish.emotion}_{self.wish.mode.name}"

    def animate(self, audio: Path, folder: Path) -> Animated:
        """Animates a recording and writes what is wished.

        Args:
            audio: the recording.
            folder: where the files go.

        Raises:
            UserError: the recording cannot be read, the network cannot be run, or a file cannot be written.
        """
        wish, name = self.wish, self.name_of(audio)
        recording = self.model.read_track(audio)
        output = self._spooled(self.output(recording, wish.mode), self.model.info.values, recording, name, folder)
        motion = self._motion(self._moved(_blocks(output)), recording, name, folder)
        raw = RawOutput(_blocks(output), output.shape[1])
        files = write_raw(motion, raw, folder, name, maya=wish.maya, npy=wish.npy)
        difference = None
        if wish.compared_with is not None:
            label = f"{name} against {wish.compared_with.name}"
            other = self._motion(self.motion(recording, wish.compared_with), recording, label, folder)
            difference = compare_motion(motion.values, other.values, motion.neutral_skin.size)
        record = folder / f"{name}.json"
        compared = None if difference is None else asdict(difference)
        write_json(record, self._facts(audio, recording, motion) | {"difference": compared})
        return Animated(name, [*files, record], difference)

    def output(self, recording: Track, mode: Mode) -> Iterator[Float32Array]:
        """Runs the network.

        Yields:
            What it says, `[n, values]`: coefficients of skin and tongue, jaw, eyes; a row for each frame.
        """
        louder = Track(self.wish.gain * recording.data, recording.samplerate)
        return animate_frames(
            self._graph.run if mode.onnx else self._network, self.model.info, louder, self._emotion, self.wish.fps
        )

    def motion(self, recording: Track, mode: Mode) -> Iterator[Float32Array]:
        """Runs the network.

        Yields:
            Displacements of the face from rest, `[n, values]`: skin and tongue three a vertex, jaw, eyes.
        """
        return self._moved(self.output(recording, mode))

    def _moved(self, outputs: Iterable[Float32Array]) -> Iterator[Float32Array]:
        """Displacements that coefficients stand for."""
        (skin, _), (tongue, _) = self._skin, self._tongue
        for output in outputs:
            first, second, rest = np.split(output, [len(skin), len(skin) + len(tongue)], axis=1)
            yield np.concatenate([first @ skin, second @ tongue, rest], axis=1)

    def _motion(self, moved: Iterable[Float32Array], recording: Track, label: str, folder: Path) -> RawMotion:
        (skin, skin_rest), (tongue, tongue_rest) = self._skin, self._tongue
        info = self.model.info
        width = skin.shape[1] + tongue.shape[1] + info.jaw_size + info.eyes_size
        return RawMotion(
            fps=float(self.wish.fps),
            values=self._spooled(moved, width, recording, label, folder),
            neutral_skin=skin_rest,
            neutral_tongue=tongue_rest,
            jaw_size=info.jaw_size,
        )

    def _spooled(
        self, blocks: Iterable[Float32Array], width: int, recording: Track, label: str, folder: Path
    ) -> Float32Array:
        """Frames `[frames, width]` in a file that has no name."""
        frames = FrameSchedule.of(self.model.info, self.wish.fps).num_frames(len(recording.data))
        return spool(track(blocks, frames, label, len), frames, width, folder)

    @cached_property
    def _skin(self) -> tuple[Float32Array, Float32Array]:
        """Shapes `[shapes, 3 * verts]`, and the skin at rest `[verts, 3]`."""
        shapes = self.model.shapes("skin")
        return shapes.matrix.reshape(len(shapes.matrix), -1), shapes.mean

    @cached_property
    def _tongue(self) -> tuple[Float32Array, Float32Array]:
        """The same of the tongue."""
        shapes = self.model.shapes("tongue")
        return shapes.matrix.reshape(len(shapes.matrix), -1), shapes.mean

    @cached_property
    def _network(self) -> FrameNetwork:
        device = choose_device(self.wish.device)
        module = TorchGraph(self.model.network.to(device))

        def run(windows: Float32Array, emotion: Float32Array) -> Float32Array:
            with torch.inference_mode():
                tensors = (torch.from_numpy(array)[:, None].to(device) for array in (windows, emotion))
                result: Float32Array = module(*tensors)[:, 0].cpu().numpy()
            return result

        return run

    @cached_property
    def _graph(self) -> RegressionGraph:
        """The exported network of the run."""
        folder = self.model.run.path / DEPLOY_FOLDER
        graph = RegressionGraph.open(folder, graph_device(self.wish.device))
        own = self.model.info  # what it tells people may have been changed at an export
        if replace(graph.info, version=own.version, default_emotion=own.default_emotion) != own:
            raise FileFormatError(
                "is not the network of this run: sizes, emotions or windows differ",
                path=folder,
                hint=f"Export it once more: python run_train.py CONFIG_NAME --resume {folder.parent.name} --finish",
            )
        return graph

    def _facts(self, audio: Path, recording: Track, motion: RawMotion) -> dict[str, Any]:
        """What a reader of the files should know."""
        wish, info = self.wish, self.model.info
        return {
            "training_run": self.model.run.path.name,
            "audio": audio.name,
            "seconds": round(recording.duration, 3),
            "frames": motion.num_frames,
            "fps": motion.fps,
            "actor": info.actor,
            "emotion": wish.emotion,
            "implicit_emotion": self.model.implicit_source(wish.source),
            "gain": wish.gain,
            "mode": wish.mode.name,
            "values": {
                "skin_coefficients": info.num_shapes_skin,
                "tongue_coefficients": info.num_shapes_tongue,
                "jaw": info.jaw_size,
                "eyes": info.eyes_size,
            },
            "compared_with": None if wish.compared_with is None else wish.compared_with.name,
        }


def _blocks(values: Float32Array) -> Iterator[Float32Array]:
    for start in range(0, len(values), _BLOCK_FRAMES):
        yield values[start : start + _BLOCK_FRAMES]
