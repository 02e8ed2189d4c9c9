"""Stage 4 for diffusion networks: recordings in, files of animation out.

Decides how the network is run and what is written. Sampling, windows and file formats are others' business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from audio2face.audio import Track
from audio2face.config_base.types import Device
from audio2face.console import LOGGER, track
from audio2face.errors import FileFormatError
from audio2face.evaluate.difference import Difference, compare_motion
from audio2face.export import RawMotion, spool
from audio2face.files import write_json
from audio2face.inference import (
    DiffusionGraph,
    GraphStream,
    Noise,
    WindowPlan,
    animate_windows,
    read_noise,
    seeded_noise,
)
from audio2face.networks.diffusion_rnn import Network
from audio2face.training.engine import choose_device
from audio2face.training.inference_mode import Mode
from audio2face.training.raw_files import Animated, RawOutput, graph_device, write_raw
from audio2face.training.sampling import NetworkStream, Sampling, sample_whole, whole_noise
from audio2face.training.trained_model import Face, TrainedModel

Float32Array = npt.NDArray[np.float32]
_DEPLOY_FOLDER = "deploy"  # of a training run
_BLOCK_FRAMES = 64


@dataclass(frozen=True, kw_only=True)
class Wish:
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
    sampling: Sampling
    seed: int = 0
    noise_path: Path | None = None
    device: Device = "auto"
    maya: bool = True
    npy: bool = False
    compared_with: Mode | None = None


class Animator:
    """Animates recordings with one network, which is loaded once.

    Args:
        model: the training run.
        wish: how.
    """

    def __init__(self, model: TrainedModel, wish: Wish) -> None:
        self.model, self.wish = model, wish
        condition = model.face(wish.condition)
        self._face: Face = model.face(wish.actor)
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
        values = self._spooled(recording, wish.mode, folder, name)
        animation = RawMotion(
            fps=float(model.plan.fps),
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
            other = self._spooled(recording, wish.compared_with, folder, f"{name} against {wish.compared_with.name}")
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
            return sample_whole(self._network, wish.sampling, model.plan, recording, identity, emotion, noise)
        if mode.onnx:
            graph = self._graph
            noise = self._window_noise(graph.info.num_diffusion_steps)
            return animate_windows(model.plan, recording, GraphStream(graph, identity, emotion, noise))
        noise = self._window_noise(len(wish.sampling.schedule))
        step = NetworkStream(self._network, wish.sampling, model.plan, identity, emotion, noise)
        return animate_windows(model.plan, recording, step)

    def _spooled(self, recording: Track, mode: Mode, folder: Path, label: str) -> Float32Array:
        """Displacements of the actor's face from rest, `[frames, values]`, in a file that has no name."""
        num_frames = self.model.plan.num_frames(len(recording.data))
        blocks = track(self.motion(recording, mode), num_frames, label, len)
        moved = (block * self._ratio for block in blocks)
        return spool(moved, num_frames, self.model.settings.sizes.total, folder)

    def _raw(self, values: Float32Array) -> Iterable[Float32Array]:
        """What the network says itself: displacements, or values as they were normalised for training."""
        for start in range(0, len(values), _BLOCK_FRAMES):
            block = values[start : start + _BLOCK_FRAMES]
            yield block if self.wish.mode.deltas else block / self._face.scale + self._neutral

    @cached_property
    def _network(self) -> Network:
        return self.model.network.to(choose_device(self.wish.device))

    @cached_property
    def _graph(self) -> DiffusionGraph:
        """The exported network of the run."""
        graph = DiffusionGraph.open(self.model.run.path / _DEPLOY_FOLDER, graph_device(self.wish.device))
        own, model, steps = graph.info, self.model, len(self.wish.sampling.schedule)
        if (own.identities, own.emotions, WindowPlan.of(own)) != (model.actors, model.emotions.names, model.plan):
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
        frames, values = self.model.plan.frames, self.model.settings.sizes.total
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
        plan, steps = self.model.plan, len(self.wish.sampling.schedule)
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
