"""What the animation of a recording by a trained network leaves on disk, whichever network it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audio2face.audio import Track
from audio2face.config_base.types import Device
from audio2face.console import LOGGER, track
from audio2face.errors import FileFormatError, UserError
from audio2face.evaluate.difference import Difference, compare_motion
from audio2face.export import RawMotion, buffer_frames, write_maya_caches, write_rows, write_transforms
from audio2face.inference import (
    DiffusionSession,
    GraphDevice,
    Noise,
    StreamingSession,
    animate_windows,
    best_device,
    read_noise,
    seeded_noise,
)
from audio2face.inference.sessions import RegressionSession
from audio2face.io.atomic import write_json
from audio2face.models.diffusion.network import DiffusionNetwork
from audio2face.models.regression.network import ExportedRegression as TorchGraph
from audio2face.models.windows import WindowSchedule
from audio2face.training.distributed import choose_device
from audio2face.training.inference.stream import Mode, NetworkStream, SamplingOptions, sample_whole, whole_noise
from audio2face.training.inference.trained_run import ActorNormalization, TrainedModel, TrainedRegression
from audio2face.training.regression import DEPLOY_FOLDER
from audio2face.types import Float32Array


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


_DEPLOY_FOLDER = "deploy"  # of a training run
_BLOCK_FRAMES = 64
_WINDOWS_AT_ONCE = 16


@dataclass(frozen=True, kw_only=True)
class RawOptions:
    """What is to be animated how, and what is to be written.

    Attributes:
        actor: whose face moves (ACTOR_NAME).
        condition: whose way of speaking it is (CONDITION).
        emotion: EMOTION_LABEL.
        mode: how the network is run.
        sampling: how PyTorch takes noise away; the exported network has its own way.
        seed: of the noise.
        noise_path: a file of noise in place of the seed (DETERMINISTIC_NOISE_PATH).
        device: what it is calculated on.
        maya: whether Maya caches are written.
        npy: whether NumPy arrays are written.
        compared_with: another mode to compare with.
    """

    actor: str
    condition: str
    emotion: str
    mode: Mode
    sampling: SamplingOptions
    seed: int = 0
    noise_path: Path | None = None
    device: Device = "auto"
    maya: bool = True
    npy: bool = False
    compared_with: Mode | None = None

    @property
    def summary(self) -> str:
        """Who speaks how, for people."""
        return f"{self.actor} speaks as {self.condition}, {self.emotion}, {self.mode.name}"

    @property
    def counterpart(self) -> tuple[str, str]:
        """The mode worth comparing with, and the two whose distance that measures."""
        return "offline" if self.mode.windows else "streaming", "whole and stream"


class RawInference:
    """Animates recordings with one network, which is loaded once.

    Args:
        model: the training run.
        wish: how.
    """

    def __init__(self, model: TrainedModel, wish: RawOptions) -> None:
        self.model, self.wish = model, wish
        condition = model.face(wish.condition)
        self._face: ActorNormalization = model.face(wish.actor)
        self._neutral = condition.neutral
        # Motion of one actor on the face of another: it starts from that face's rest, and grows with its size.
        self._ratio = self._face.scale / condition.scale

    def name_of(self, audio: Path) -> str:
        """What the files of a recording are called; dots in the name of the recording stay."""
        wish = self.wish
        return f"{audio.stem}_{wish.actor}_{wish.condition}_{wish.emotion}_{wish.mode.name}"

    def animate(self, audio: Path, folder: Path) -> Animated:
        """Animates a recording and writes what is wished.

        Args:
            audio: the recording.
            folder: where the files go.

        Raises:
            UserError: the recording cannot be read, the network cannot be run, or a file cannot be written.
        """
        model, wish, name = self.model, self.wish, self.name_of(audio)
        recording = model.read_track(audio)
        values = self._buffered(recording, wish.mode, folder, name)
        animation = RawMotion(
            fps=float(model.windows.fps),
            values=values,
            neutral_skin=self._face.skin,
            neutral_tongue=self._face.tongue,
            jaw_size=model.settings.jaw_size,
        )
        output = RawOutput(self._raw(values), values.shape[1])
        suffix = "_delta" if wish.mode.deltas else ""
        files = write_raw(animation, output, folder, name, maya=wish.maya, npy=wish.npy, suffix=suffix)
        difference = None
        if wish.compared_with is not None:
            other = self._buffered(recording, wish.compared_with, folder, f"{name} against {wish.compared_with.name}")
            difference = compare_motion(values, other, model.settings.skin_size)
        record = folder / f"{name}.json"
        write_json(record, self._facts(audio, recording, animation, difference))
        return Animated(name, [*files, record], difference)

    def motion(self, recording: Track, mode: Mode) -> Iterator[Float32Array]:
        """Runs the network.

        Yields:
            Displacements of the condition's face from rest, `[n, values]`; one for each frame of the recording.
        """
        model, wish = self.model, self.wish
        identity, emotion = model.identity(wish.condition), model.emotions.vector(wish.emotion)
        if not mode.windows:
            noise = self._whole_noise(recording)
            return sample_whole(self._network, wish.sampling, model.windows, recording, identity, emotion, noise)
        if mode.onnx:
            graph = self._graph
            noise = self._window_noise(graph.info.num_diffusion_steps)
            return animate_windows(model.windows, recording, StreamingSession(graph, identity, emotion, noise))
        noise = self._window_noise(len(wish.sampling.schedule))
        step = NetworkStream(self._network, wish.sampling, model.windows, identity, emotion, noise)
        return animate_windows(model.windows, recording, step)

    def _buffered(self, recording: Track, mode: Mode, folder: Path, label: str) -> Float32Array:
        """Displacements of the actor's face from rest, `[frames, values]`, in a file that has no name."""
        num_frames = self.model.windows.num_frames(len(recording.data))
        blocks = track(self.motion(recording, mode), num_frames, label, len)
        moved = (block * self._ratio for block in blocks)
        return buffer_frames(moved, num_frames, self.model.settings.sizes.total, folder)

    def _raw(self, values: Float32Array) -> Iterable[Float32Array]:
        """What the network says itself: displacements, or values as they were normalised for training."""
        for start in range(0, len(values), _BLOCK_FRAMES):
            block = values[start : start + _BLOCK_FRAMES]
            yield block if self.wish.mode.deltas else block / self._face.scale + self._neutral

    @cached_property
    def _network(self) -> DiffusionNetwork:
        return self.model.network.to(choose_device(self.wish.device))

    @cached_property
    def _graph(self) -> DiffusionSession:
        """The exported network of the run."""
        graph = DiffusionSession.open(self.model.run.path / _DEPLOY_FOLDER, graph_device(self.wish.device))
        own, model, steps = graph.info, self.model, len(self.wish.sampling.schedule)
        if (own.identities, own.emotions, own.windows()) != (
            model.actors,
            model.emotions.names,
            model.windows,
        ):
            raise FileFormatError(
                "is not the network of this run: actors, emotions or windows differ",
                path=model.run.path / _DEPLOY_FOLDER,
                hint=f"Export it once more: python run_train.py CONFIG_NAME --resume {model.run.path.name} --finish",
            )
        if own.num_diffusion_steps != steps or self.wish.sampling.deterministic:
            LOGGER.warning(
                "the exported network takes its own %d steps (DDPM), whatever TIMESTEP_RESPACING and USE_DDIM say",
                own.num_diffusion_steps,
            )
        return graph

    def _window_noise(self, steps: int) -> Noise:
        frames, values = self.model.windows.frames, self.model.settings.sizes.total
        if self.wish.noise_path is None:
            return seeded_noise(self.wish.seed, frames, values)
        noise, available = read_noise(self.wish.noise_path, steps, values)
        if available < frames:
            raise FileFormatError(
                f"holds noise for {available} frames, a window has {frames}", path=self.wish.noise_path
            )
        return noise

    def _whole_noise(self, recording: Track) -> Noise:
        """That of a stream for every frame; or that of a file which has enough for the whole recording."""
        plan, steps = self.model.windows, len(self.wish.sampling.schedule)
        if self.wish.noise_path is not None:
            noise, available = read_noise(self.wish.noise_path, steps, self.model.settings.sizes.total)
            if available >= plan.num_frames(len(recording.data)):
                return noise
        return whole_noise(self._window_noise(steps), plan)

    def _facts(
        self, audio: Path, recording: Track, animation: RawMotion, difference: Difference | None
    ) -> dict[str, Any]:
        """What a reader of the files should know."""
        wish = self.wish
        return {
            "training_run": self.model.run.path.name,
            "audio": audio.name,
            "seconds": round(recording.duration, 3),
            "frames": animation.num_frames,
            "fps": animation.fps,
            "actor": wish.actor,
            "condition": wish.condition,
            "emotion": wish.emotion,
            "mode": wish.mode.name,
            "timesteps": None if wish.mode.onnx else wish.sampling.schedule.timesteps.tolist(),
            "skip_steps": None if wish.mode.onnx else wish.sampling.skip_steps,
            "ddim": wish.sampling.deterministic and not wish.mode.onnx,
            "noise": f"seed {wish.seed}" if wish.noise_path is None else wish.noise_path.name,
            "values": {
                "skin": animation.neutral_skin.size,
                "tongue": animation.neutral_tongue.size,
                "jaw": animation.jaw_size,
                "eyes": animation.eyes.shape[1],
            },
            "compared_with": None if wish.compared_with is None else wish.compared_with.name,
            "difference": None if difference is None else asdict(difference),
        }


@dataclass(frozen=True, kw_only=True)
class RegressionRawOptions:
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

    @property
    def summary(self) -> str:
        """Who speaks how, for people."""
        return f"{self.emotion}, {self.mode.name}, {float(self.fps):g} frames per second"

    @property
    def counterpart(self) -> tuple[str, str]:
        """The mode worth comparing with, and the two whose distance that measures."""
        return "offline" if self.mode.onnx else "streaming_stateless_onnx", "the trained and the exported network"


class RegressionRawInference:
    """Animates recordings with one network, which is loaded once.

    Args:
        model: the training run.
        wish: how.
    """

    def __init__(self, model: TrainedRegression, wish: RegressionRawOptions) -> None:
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
        output = self._buffered(self.output(recording, wish.mode), self.model.info.values, recording, name, folder)
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
        network = self._graph.run if mode.onnx else self._network
        return animate_windows(
            self._windows,
            louder,
            lambda audio: network(audio, np.tile(self._emotion, (len(audio), 1))),
            _WINDOWS_AT_ONCE,
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
            values=self._buffered(moved, width, recording, label, folder),
            neutral_skin=skin_rest,
            neutral_tongue=tongue_rest,
            jaw_size=info.jaw_size,
        )

    def _buffered(
        self, blocks: Iterable[Float32Array], width: int, recording: Track, label: str, folder: Path
    ) -> Float32Array:
        """Frames `[frames, width]` in a file that has no name."""
        frames = self._windows.num_frames(len(recording.data))
        return buffer_frames(track(blocks, frames, label, len), frames, width, folder)

    @cached_property
    def _windows(self) -> WindowSchedule:
        return self.model.info.windows(self.wish.fps)

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
    def _network(self) -> Callable[[Float32Array, Float32Array], Float32Array]:
        device = choose_device(self.wish.device)
        module = TorchGraph(self.model.network.to(device))

        def run(windows: Float32Array, emotion: Float32Array) -> Float32Array:
            with torch.inference_mode():
                tensors = (torch.from_numpy(array)[:, None].to(device) for array in (windows, emotion))
                result: Float32Array = module(*tensors)[:, 0].cpu().numpy()
            return result

        return run

    @cached_property
    def _graph(self) -> RegressionSession:
        """The exported network of the run."""
        folder = self.model.run.path / DEPLOY_FOLDER
        graph = RegressionSession.open(folder, graph_device(self.wish.device))
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
