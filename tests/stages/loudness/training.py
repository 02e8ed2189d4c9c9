"""The network, and the `Task` that trains it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from audio2face.config import Configuration
from audio2face.training.data.clips import TrainingClip
from audio2face.training.data.dataset import TrainingData
from audio2face.training.run_folder import TrainingRun, run_records
from audio2face.training.task import ParameterGroup, ResumeMetadata


class LoudnessNetwork(nn.Module):
    """A face that grows with the loudness of the window: windows `[batch, samples]` to faces `[batch, 1, values]`."""

    def __init__(self, values: int) -> None:
        super().__init__()
        self.face = nn.Linear(1, values)

    def forward(self, window: Tensor) -> Tensor:
        loudness = (window * window).mean(dim=-1, keepdim=True).sqrt()
        faces: Tensor = self.face(loudness)
        return faces[:, None]


@dataclass(frozen=True)
class ClipBatch:
    """One clip: windows `[frames, samples]` and faces `[frames, values]`."""

    sample_ids: Sequence[str]
    windows: Tensor
    faces: Tensor

    @property
    def num_frames(self) -> int:
        return len(self.faces)

    def suspects(self) -> Sequence[str]:
        return self.sample_ids


class LoudnessTask:
    """Minimises the squared error of every frame, a clip a batch."""

    best_metric = "face_error"
    reference_sums_items = False

    def __init__(self, configuration: Configuration, data: TrainingData, fabric: Fabric) -> None:
        self._configuration, self._data, self._device = configuration, data, fabric.device
        self._clips = data.training_clips[fabric.global_rank :: fabric.world_size]
        self.num_batches, self.items_per_batch = len(data.training_clips) // fabric.world_size, 1
        self.generators: Mapping[str, torch.Generator] = {}
        counts = data.sources[0].info.counts
        self._sizes = {
            **{f"num_{name}": counts[f"num_{name}"] for name in ("shapes_skin", "shapes_tongue")},
            **{f"num_{name}": counts[f"num_{name}"] for name in ("verts_skin", "verts_tongue")},
            "jaw_size": 3 * counts["num_keypoints_jaw"],
            "eyes_size": 2 * counts["num_angles_eye"],
        }
        self.network = LoudnessNetwork(num_values(self._sizes)).to(fabric.device)

    def parameter_groups(self) -> list[ParameterGroup]:
        return [ParameterGroup(list(self.network.parameters()))]

    def learning_rate(self, epoch: int) -> float:
        rate: float = self._configuration.train.LEARNING_RATE
        return rate

    def batches(self, epoch: int, first_batch: int) -> Generator[ClipBatch, None, None]:
        yield from map(self._batch, self._clips[first_batch : self.num_batches])

    def losses(self, network: Callable[..., Any], batch: ClipBatch) -> Mapping[str, Tensor]:
        error = (network(batch.windows)[:, 0] - batch.faces).square().mean()
        return {"total": error, "face": error}

    def finish_gradients(self) -> None:
        """Does nothing: gradients are complete."""

    def commit_step(self) -> None:
        """There are no running statistics."""

    def discard_step(self) -> None:
        """There are no running statistics."""

    def validate(self) -> dict[str, float]:
        batches = [self._batch(clip) for clip in self._data.validation_clips]
        errors = [(self.network(batch.windows)[:, 0] - batch.faces).abs().mean() for batch in batches]
        return {self.best_metric: float(torch.stack(errors).mean())} if errors else {}

    def held_out_frame(self) -> None:
        """There are no faces to draw."""

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """The order of the clips follows from the configuration."""

    def network_config(self) -> dict[str, Any]:
        return {"network_type": "loudness", "settings": self._sizes}

    def metadata_files(self) -> dict[str, Any]:
        return run_records("loudness", self._data, self._configuration)

    def export(self, folder: Path) -> None:
        """Deployment needs the weights only."""

    def _batch(self, clip: TrainingClip) -> ClipBatch:
        audio: Mapping[str, Any] = self._configuration.train.AUDIO_PARAMS
        fps, device = clip.shot.fps, self._device
        assert clip.audio is not None  # AUG_MUTED_SHOTS is not supported
        length, rate = audio["buffer_len"], audio["samplerate"]
        times = clip.audio_start + (np.arange(clip.num_frames) + 0.5) / fps
        starts = np.round(times * rate).astype(int) - length // 2
        windows = np.stack([self._data.recordings.read(clip.audio, start, length) for start in starts.tolist()])
        motion = np.concatenate(self._data.motions[clip.shot.id].parts, axis=1)[clip.first : clip.last + 1]
        return ClipBatch(
            [str(clip)], torch.from_numpy(windows).to(device), torch.from_numpy(motion.astype(np.float32)).to(device)
        )


def num_values(sizes: Mapping[str, int]) -> int:
    """Values of a frame: coefficients of skin and tongue, jaw, eyes."""
    return sum(sizes[name] for name in ("num_shapes_skin", "num_shapes_tongue", "jaw_size", "eyes_size"))


def open_task(configuration: Configuration, fabric: Fabric, state: ResumeMetadata | None) -> LoudnessTask:
    """A `TrainingModule` function."""
    runs = None if state is None else state.preproc_runs
    return LoudnessTask(configuration, TrainingData.open(configuration.dataset, configuration.train, runs), fabric)


def load_network(run: TrainingRun) -> LoudnessNetwork:
    """A `TrainingModule` function."""
    network = LoudnessNetwork(num_values(run.network["settings"]))
    network.load_state_dict(run.weights())
    return network.eval()
