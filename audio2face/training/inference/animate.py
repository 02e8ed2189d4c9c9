"""Raw inference: recordings animated by the network of a training run, and its output written as it is.

Knows how the network is run, what is written, and what is compared. A family's `RawNetwork` knows the network.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import numpy as np

from audio2face.audio import Track
from audio2face.config_base.types import Device, InferenceMode
from audio2face.console import LOGGER, track
from audio2face.errors import UserError
from audio2face.evaluate.ground_truth import Difference, compare_motion
from audio2face.export import RawMotion, buffer_frames, write_maya_caches, write_rows, write_transforms
from audio2face.io.atomic import write_json
from audio2face.models.diffusion.process import NoiseSchedule
from audio2face.models.windows import WindowSchedule
from audio2face.training.inference.trained_run import TrainedRun
from audio2face.types import Float32Array

DEFAULT_MODE: InferenceMode = "offline"
EXPORTED_MODE: InferenceMode = "streaming_stateless_onnx"  # of what consumers run
_BLOCK_FRAMES = 64

# Animates the next windows, float32 audio [windows, samples], to the frames that are kept of them, float32
# [windows * hop, values]. It carries the state of the network from window to window.
WindowStep = Callable[[Float32Array], Float32Array]


@dataclass(frozen=True)
class Mode:
    """How a network is run: the parts of INFERENCE_MODE.

    Attributes:
        name: INFERENCE_MODE.
        windows: whether it runs as a stream, window by window; otherwise over the whole recording.
        onnx: whether ONNX Runtime runs the exported network; otherwise PyTorch runs the trained one.
        deltas: whether raw output is deltas in centimetres; otherwise normalised values.
    """

    name: InferenceMode
    windows: bool
    onnx: bool
    deltas: bool

    @classmethod
    def parse(cls, name: str) -> Mode:
        """Parses a mode.

        Raises:
            UserError: there is no such mode, or it needs TensorRT.
        """
        known = {mode: mode for mode in get_args(InferenceMode)}
        if name not in known:
            raise UserError(f"there is no inference mode {name!r}", hint=f"There are: {', '.join(known)}.")
        if name.endswith("_trt"):
            instead = name.removesuffix("_trt") + "_onnx"
            raise UserError(
                f"INFERENCE_MODE is {name!r}, but TensorRT engines are not run here",
                hint=f"Use {instead!r}, which runs the network that the engine is built from. To build and use an "
                "engine, deploy the run and follow the README of the deployed folder.",
            )
        onnx = name.endswith("_onnx")
        if name == "offline_onnx":
            LOGGER.info(
                "the exported network takes windows only: offline_onnx gives what streaming_stateless_onnx gives"
            )
        return cls(
            known[name], windows=onnx or not name.startswith("offline"), onnx=onnx, deltas="output_delta" in name
        )


@dataclass(frozen=True)
class SamplingOptions:
    """How a diffusion network samples.

    Attributes:
        schedule: schedule of the steps.
        skip_steps: number of the noisiest steps that are skipped.
        deterministic: DDIM, which draws noise at the start only; otherwise DDPM.
    """

    schedule: NoiseSchedule
    skip_steps: int = 0
    deterministic: bool = False


@dataclass(frozen=True, kw_only=True)
class RawOptions:
    """How recordings are animated, and what is written. A network ignores the options of other families.

    Attributes:
        actor: actor whose face is animated (ACTOR_NAME).
        emotion: name of the emotion (EMOTION_LABEL).
        mode: how the network is run.
        device: what it runs on.
        maya: whether Maya caches are written.
        npy: whether NumPy arrays are written: network output, jaw and eyes.
        compared_with: another mode, whose output is compared; None: no comparison.
        condition: actor whose style of speaking is used (CONDITION); None: the actor's own. Diffusion.
        sampling: how PyTorch samples; the exported network has its own steps. Required by diffusion.
        seed: seed of the noise. Diffusion.
        noise_path: file of noise, which replaces the seed (DETERMINISTIC_NOISE_PATH). Diffusion.
        fps: frames per second. Regression; a diffusion network has a rate of its own.
        source: shot and frame of the implicit emotion; where either is None, the most usual row is taken. None: as
            the run was configured. Regression.
        gain: factor of the audio (input_strength). Regression.
    """

    actor: str
    emotion: str
    mode: Mode
    device: Device = "auto"
    maya: bool = True
    npy: bool = False
    compared_with: Mode | None = None
    condition: str | None = None
    sampling: SamplingOptions | None = None
    seed: int = 0
    noise_path: Path | None = None
    fps: Fraction = Fraction(30)
    source: tuple[str | None, int | None] | None = None
    gain: float = 1.0


class RawNetwork(ABC):
    """A network of a training run, loaded once, and the face that it animates; a family derives its own.

    Attributes:
        options: how recordings are animated.
        windows: schedule of the windows.
        output_size: number of values that the network outputs per frame.
        predicts_coefficients: whether the network predicts PCA coefficients of skin and tongue; otherwise deltas.
        delta_size: number of deltas per frame.
        neutral_skin: neutral pose of the skin, float32 `[verts, 3]`, centimetres.
        neutral_tongue: neutral pose of the tongue, float32 `[verts, 3]`, centimetres.
        jaw_size: number of values of the jaw, three per key point.
    """

    options: RawOptions
    windows: WindowSchedule
    output_size: int
    delta_size: int
    predicts_coefficients: bool
    neutral_skin: Float32Array
    neutral_tongue: Float32Array
    jaw_size: int

    @property
    @abstractmethod
    def model(self) -> TrainedRun:
        """The training run."""

    @abstractmethod
    def predict(self, recording: Track, mode: Mode) -> Iterator[Float32Array]:
        """Runs the network.

        Yields:
            Its output, float32 `[n, output_size]`: coefficients of skin and tongue, or deltas in centimetres, three a
            vertex; then deltas of the jaw's key points in centimetres, and rotations of the eyes in degrees. A row for
            each frame of the recording.
        """

    @abstractmethod
    def to_deltas(self, output: Float32Array) -> Float32Array:
        """Output `[n, output_size]` as deltas `[n, delta_size]`: skin and tongue three a vertex, jaw, eyes."""

    @abstractmethod
    def to_raw(self, output: Float32Array) -> Float32Array:
        """Output `[n, output_size]` as the reference framework writes it in this mode, of the same shape."""

    @property
    @abstractmethod
    def label(self) -> str:
        """Actor and emotion as part of a file name."""

    @property
    @abstractmethod
    def summary(self) -> str:
        """Actor, emotion and mode for the log."""

    @property
    @abstractmethod
    def counterpart(self) -> tuple[str, str]:
        """The mode worth comparing with, and the names of the two that are compared."""

    @property
    @abstractmethod
    def metadata(self) -> dict[str, Any]:
        """Metadata of network and options for the JSON file beside the output."""


def animate_windows(
    schedule: WindowSchedule, track: Track, step: WindowStep, batch_size: int = 1
) -> Iterator[Float32Array]:
    """Animates a recording window by window; outside of the recording there is silence.

    Args:
        schedule: schedule of the windows.
        track: the recording, at the schedule's sample rate.
        step: animates windows.
        batch_size: number of windows per call; 1 for a network that carries state from window to window.

    Yields:
        Frames `[up to batch_size * hop, values]`, `schedule.num_frames` in total, the first at the start of the
        recording.
    """
    num_frames = schedule.num_frames(len(track.data))
    num_windows = schedule.num_windows(num_frames)
    for start in range(0, num_windows, batch_size):
        windows = range(start, min(start + batch_size, num_windows))
        audio = np.stack([track.read(schedule.first_sample(window), schedule.end_sample(window)) for window in windows])
        frames = step(audio)
        first = start * schedule.hop - schedule.lead_in_frames  # number of the first of them in the animation
        kept = frames[max(0, -first) : max(0, num_frames - first)]
        if len(kept):
            yield kept


@dataclass(frozen=True)
class RawFiles:
    """The files of one animated recording.

    Attributes:
        name: name of the files, without suffix.
        files: the files.
        difference: difference to the mode that it was compared with; None without comparison.
    """

    name: str
    files: list[Path]
    difference: Difference | None


class RawInference:
    """Animates recordings with one network.

    Args:
        network: the network, with its options.
    """

    def __init__(self, network: RawNetwork) -> None:
        self.network, self.options = network, network.options

    def output_name(self, audio: Path) -> str:
        """Name of the files of a recording; dots in the name of the recording stay."""
        return f"{audio.stem}_{self.network.label}_{self.options.mode.name}"

    def animate(self, audio: Path, folder: Path) -> RawFiles:
        """Animates a recording and writes the requested files.

        Args:
            audio: the recording.
            folder: folder of the files.

        Raises:
            UserError: the recording cannot be read, the network cannot be run, or a file cannot be written.
        """
        network, options, name = self.network, self.options, self.output_name(audio)
        recording = network.model.read_track(audio)
        num_frames = network.windows.num_frames(len(recording.data))
        blocks = track(network.predict(recording, options.mode), num_frames, name, len)
        output = deltas = buffer_frames(blocks, num_frames, network.output_size, folder)
        if network.predicts_coefficients:
            deltas = self._buffered_deltas(_blocks(output), num_frames, name, folder)
        motion = self._motion(deltas)
        files = self._write(motion, output, folder, name)
        difference = None
        if (other := options.compared_with) is not None:
            compared = self._buffered_deltas(
                network.predict(recording, other), num_frames, f"{name} against {other.name}", folder
            )
            difference = compare_motion(deltas, compared, network.neutral_skin.size)
        record = folder / f"{name}.json"
        write_json(record, self._metadata(audio, recording, motion, difference))
        return RawFiles(name, [*files, record], difference)

    def deltas(self, recording: Track) -> Iterator[Float32Array]:
        """Animates a recording.

        Yields:
            Deltas from the neutral face, float32 `[n, values]`: skin and tongue in centimetres, three a vertex, jaw
            key points in centimetres, eyes in degrees. A row for each frame of the recording.
        """
        return map(self.network.to_deltas, self.network.predict(recording, self.options.mode))

    def _buffered_deltas(
        self, output: Iterable[Float32Array], num_frames: int, label: str, folder: Path
    ) -> Float32Array:
        """Deltas `[frames, delta_size]` in an unnamed temporary file."""
        blocks = track(map(self.network.to_deltas, output), num_frames, label, len)
        return buffer_frames(blocks, num_frames, self.network.delta_size, folder)

    def _motion(self, deltas: Float32Array) -> RawMotion:
        network = self.network
        return RawMotion(
            fps=float(network.windows.fps),
            values=deltas,
            neutral_skin=network.neutral_skin,
            neutral_tongue=network.neutral_tongue,
            jaw_size=network.jaw_size,
        )

    def _write(self, motion: RawMotion, output: Float32Array, folder: Path, name: str) -> list[Path]:
        """Writes caches and arrays."""
        network, options = self.network, self.options
        files: list[Path] = []
        if options.maya:
            as_deltas = options.mode.deltas and not network.predicts_coefficients
            files += write_maya_caches(motion, folder, name, "_delta" if as_deltas else "")
        if options.npy:
            rows = map(network.to_raw, _blocks(output))
            files.append(write_rows(folder / f"{name}.npy", rows, motion.num_frames, network.output_size))
            files += write_transforms(motion, folder, name)
        return files

    def _metadata(
        self, audio: Path, recording: Track, motion: RawMotion, difference: Difference | None
    ) -> dict[str, Any]:
        """Contents of the JSON file beside the output."""
        other = self.options.compared_with
        return {
            "training_run": self.network.model.run.path.name,
            "audio": audio.name,
            "seconds": round(recording.duration, 3),
            "frames": motion.num_frames,
            "fps": motion.fps,
            **self.network.metadata,
            "compared_with": None if other is None else other.name,
            "difference": None if difference is None else asdict(difference),
        }


def _blocks(values: Float32Array) -> Iterator[Float32Array]:
    for start in range(0, len(values), _BLOCK_FRAMES):
        yield values[start : start + _BLOCK_FRAMES]
