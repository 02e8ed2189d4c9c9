"""The speech encoder of a training, and the cache of the features that a frozen encoder extracts from clips."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from audio2face.config import TrainRegression, TrainSection
from audio2face.console import LOGGER, track
from audio2face.errors import UserError
from audio2face.io.atomic import write_npy
from audio2face.models import encoders
from audio2face.models.encoders import SpeechEncoder
from audio2face.models.encoders.registry import get_encoder_spec
from audio2face.training.checkpoint import preserve_rng_state
from audio2face.training.data.audio import AudioWindows
from audio2face.training.distributed import wait_for_all
from audio2face.training.signals import interruptible
from audio2face.training.task import ResumeMetadata
from audio2face.types import Float16Array, Float32Array, Float64Array, Int64Array


def open_encoder(
    train: TrainSection, resume_state: ResumeMetadata | None, options: Mapping[str, Any] | None = None
) -> SpeechEncoder:
    """Creates the encoder of a configuration.

    Args:
        train: the training section, which names the encoder.
        resume_state: record of the resumed run. If it has a checkpoint, the encoder is randomly initialised and gets
            its weights from the checkpoint.
        options: encoder options; an encoder takes those that it declares.

    Raises:
        UserError: the encoder is unknown, or its weights are unavailable.
    """
    if resume_state is not None and resume_state.has_weights:
        encoder = encoders.rebuild_encoder(resume_state.network["encoder"])
    else:
        encoder = _pretrained(train, options or {})
    encoder.noise = train.SPEECH_FEATURE_NOISE
    return encoder


def _pretrained(train: TrainSection, options: Mapping[str, Any]) -> SpeechEncoder:
    root = os.environ.get(encoders.MODELS_ROOT_VARIABLE)
    if train.SPEECH_ENCODER_LAYERS:
        options = {**options, "layers": train.SPEECH_ENCODER_LAYERS}
    known = {field.name for field in dataclasses.fields(get_encoder_spec(train.SPEECH_ENCODER).options)}
    if train.SPEECH_ENCODER_LAYERS and "layers" not in known:
        raise UserError(
            f"SPEECH_ENCODER_LAYERS: the layers of {train.SPEECH_ENCODER!r} cannot be chosen",
            hint="Leave it empty in config_train.py, or choose an encoder with selectable layers, such as 'hama'.",
        )
    return encoders.create(
        train.SPEECH_ENCODER,
        models_root=Path(root) if root else train.TORCH_CACHE_ROOT,
        options={name: value for name, value in options.items() if name in known},
    )


# Part of every cache key. It changes with the computation of features, which invalidates older files: those of the
# first version contain the encoder's dropout.
_VERSION = b"2: evaluation mode"
_WINDOWS_PER_BATCH = 64
_MAX_OPEN_FILES = 32  # files: a process may have a thousand open or fewer
_FLOAT16_MAX = float(np.finfo(np.float16).max)

# The hidden layers [layers, windows, steps, features] of windows [windows, samples].
FeatureFn = Callable[[Tensor], Tensor]


def caches_features(train: TrainRegression, is_trainable: bool) -> bool:
    """Whether features are extracted once, before training.

    Args:
        train: training section, with SPEECH_FEATURES.
        is_trainable: whether the encoder is trained too, and its features change.
    """
    if train.SPEECH_FEATURES == "exact":
        return False
    if is_trainable:
        LOGGER.info("the speech encoder is trained too: it runs at every step (SPEECH_FEATURES has no effect)")
        return False
    return True


@dataclass(frozen=True, eq=False)
class CachedFeatures:
    """Cached hidden states of all windows of clips.

    Attributes:
        paths: for each clip, the file of float16 `[frames, variants, layers, steps, features]`.
    """

    paths: Sequence[Path] = field(repr=False)

    def read(self, clips: Int64Array, starts: Int64Array, variants: Int64Array, length: int) -> Tensor:
        """Reads sequences.

        Args:
            clips: clip index of each item, `[items]`.
            starts: first frame from the start of the clip, `[items]`.
            variants: index of the time shift, or of the noise of a muted clip, `[items]`.
            length: frames of a sequence.

        Returns:
            Float16 `[items * length, layers, steps, features]`.

        Raises:
            UserError: a file was removed.
        """
        items = zip(clips.tolist(), starts.tolist(), variants.tolist(), strict=True)
        read = [_memory_map(self.paths[clip])[start : start + length, variant] for clip, start, variant in items]
        return torch.from_numpy(np.concatenate(read))


@dataclass(frozen=True)
class FeatureCache:
    """Features of the frozen speech encoder, kept in a folder.

    Attributes:
        folder: SPEECH_FEATURES_ROOT.
        encoder: the speech encoder; extraction switches it to evaluation mode and restores its mode.
        extract_hidden_states: maps windows `[windows, samples]` to hidden states.
        device: device of the encoder.
    """

    folder: Path
    encoder: SpeechEncoder
    extract_hidden_states: FeatureFn
    device: torch.device

    def prepare(
        self, windows: AudioWindows, shifts: Float64Array, rank: int = 0, world_size: int = 1
    ) -> CachedFeatures:
        """Opens the cached features of all frames of all clips, and extracts the missing ones.

        The state of the global random generators is preserved.

        Args:
            windows: the clips and their audio.
            shifts: time shifts in frames; variant i of a frame is shifted by the i-th. Of a muted clip, variant i has
                the i-th noise.
            rank: index of this process, which extracts its share of the clips.
            world_size: number of processes; each waits for the others.

        Raises:
            UserError: a recording cannot be read, or a file cannot be written.
        """
        with interruptible():  # every finished clip is kept
            return self._prepare(windows, shifts, rank, world_size)

    def _prepare(self, windows: AudioWindows, shifts: Float64Array, rank: int, world_size: int) -> CachedFeatures:
        identity = self._identity()
        paths = [self.folder / f"{_key(identity, windows, clip, shifts)}.npy" for clip in range(len(windows.clips))]
        # The share of a process is fixed by the list of clips, independent of the progress of the others.
        missing = [(clip, path) for clip, path in list(enumerate(paths))[rank::world_size] if _open(path) is None]
        if missing:
            self._extract_missing(windows, shifts, missing)
        if world_size > 1:
            wait_for_all()
        _memory_map.cache_clear()
        for path in paths:
            _memory_map(path)
        return CachedFeatures(paths)

    def _extract_missing(self, windows: AudioWindows, shifts: Float64Array, missing: list[tuple[int, Path]]) -> None:
        LOGGER.info(
            "extracting the speech features of %d of %d clips, at %d time shifts; kept in %s",
            len(missing),
            len(windows.clips),
            len(shifts),
            self.folder,
        )
        with _evaluation_mode(self.encoder), preserve_rng_state({}, self.device):
            for clip, path in track(missing, len(missing), "extracting speech features"):
                try:
                    write_npy(path, self._extract_clip(windows, shifts, clip))
                except UserError as error:
                    hint = f"{error.hint} SPEECH_FEATURES = 'exact' needs no disk."
                    raise UserError(error.problem, path=error.path, hint=hint) from error

    def _extract_clip(self, windows: AudioWindows, shifts: Float64Array, clip: int) -> Float16Array:
        """`[frames, variants, layers, steps, features]`."""
        frames = np.arange(windows.clips[clip].first, windows.clips[clip].last + 1)
        blocks = []
        for variant, shift in enumerate(shifts.tolist()):
            features = []
            for chunk in np.array_split(frames, -(-len(frames) // _WINDOWS_PER_BATCH)):
                clips = np.full(len(chunk), clip)
                audio = windows.read(clips, chunk[:, None], np.full(len(chunk), shift), np.full(len(chunk), variant))
                hidden = self.extract_hidden_states(torch.from_numpy(audio).to(self.device)).transpose(0, 1)
                features.append(hidden.float().clamp(-_FLOAT16_MAX, _FLOAT16_MAX).to(torch.float16).cpu().numpy())
            blocks.append(np.concatenate(features))
        return np.stack(blocks, axis=1)

    def _identity(self) -> bytes:
        """Hash of the encoder's record and weights, except the weights that combine layers."""
        digest = hashlib.sha256(_VERSION)
        digest.update(json.dumps(encoders.encoder_record(self.encoder), sort_keys=True).encode())
        for name, weight in sorted(self.encoder.state_dict().items()):
            if not name.startswith("combine."):
                digest.update(name.encode())
                digest.update(weight.detach().cpu().contiguous().numpy().tobytes())
        return digest.digest()


@contextmanager
def _evaluation_mode(encoder: nn.Module) -> Iterator[None]:
    """Switches the encoder to evaluation mode, and restores the mode of each of its modules."""
    modes = [(module, module.training) for module in encoder.modules()]
    encoder.eval()
    try:
        yield
    finally:
        for module, is_training in modes:
            module.training = is_training


def _key(identity: bytes, windows: AudioWindows, clip: int, shifts: Float64Array) -> str:
    """The cache key of a clip: a hash of everything its features depend on."""
    frames = np.arange(windows.clips[clip].first, windows.clips[clip].last + 1)
    digest = hashlib.sha256(identity)
    digest.update(np.array([windows.num_samples, windows.offset, windows.recordings.samplerate]).tobytes())
    path = windows.clips[clip].audio
    if path is None:
        digest.update(f"{windows.noise} {clip} {len(shifts)}".encode())
        digest.update(frames.tobytes())
    else:
        every = [windows.times(np.full(len(frames), clip), frames[:, None], np.full(len(frames), s)) for s in shifts]
        digest.update(np.stack(every).tobytes())
        digest.update(_samples(windows, path).tobytes())
    return digest.hexdigest()


def _samples(windows: AudioWindows, path: Path) -> Float32Array:
    return windows.recordings.track(path).data


@lru_cache(maxsize=_MAX_OPEN_FILES)
def _memory_map(path: Path) -> Float16Array:
    """Memory-maps cached features; at most `_MAX_OPEN_FILES` files are open at a time."""
    features = _open(path)
    if features is None:
        raise UserError("cannot be read back", path=path, hint="Check the disk, or set SPEECH_FEATURES = 'exact'.")
    return features


def _open(path: Path) -> Float16Array | None:
    """Cached features; None if the file is missing or unreadable."""
    try:
        features: Float16Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return features
