"""The speech encoder of a training: with pretrained weights for a new run, as it was recorded for one gone on with."""

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

from audio2face.config import TrainSection
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
from audio2face.training.task import ResumeState
from audio2face.types import Float16Array, Float32Array, Float64Array, Int64Array


def open_encoder(
    train: TrainSection, begun: ResumeState | None, wishes: Mapping[str, Any] | None = None
) -> SpeechEncoder:
    """Makes the encoder that a configuration names.

    Args:
        train: names it.
        begun: what a run that is gone on with recorded. Where it has a checkpoint, the encoder gets its weights from
            there and comes with weights of chance.
        wishes: options, of which an encoder takes those that it has.

    Raises:
        UserError: it is unknown, or its weights cannot be had.
    """
    if begun is not None and begun.has_weights:
        encoder = encoders.rebuild_encoder(begun.network["encoder"])
    else:
        encoder = _pretrained(train, wishes or {})
    encoder.noise = train.SPEECH_FEATURE_NOISE
    return encoder


def _pretrained(train: TrainSection, wishes: Mapping[str, Any]) -> SpeechEncoder:
    root = os.environ.get(encoders.MODELS_ROOT_VARIABLE)
    if train.SPEECH_ENCODER_LAYERS:
        wishes = {**wishes, "layers": train.SPEECH_ENCODER_LAYERS}
    known = {field.name for field in dataclasses.fields(get_encoder_spec(train.SPEECH_ENCODER).options)}
    if train.SPEECH_ENCODER_LAYERS and "layers" not in known:
        raise UserError(
            f"SPEECH_ENCODER_LAYERS: the layers of {train.SPEECH_ENCODER!r} cannot be chosen",
            hint="Leave it empty in config_train.py, or choose an encoder that lets them be chosen, such as 'hama'.",
        )
    return encoders.create(
        train.SPEECH_ENCODER,
        models_root=Path(root) if root else train.TORCH_CACHE_ROOT,
        options={name: value for name, value in wishes.items() if name in known},
    )


# Part of every file's name. It changes with the way features are computed, so that files made otherwise are not read:
# those of the first version hold the encoder's dropout.
_VERSION = b"2: evaluation mode"
_WINDOWS_AT_ONCE = 64
_MOST_OPEN = 32  # files: a process may have a thousand open or fewer
_LARGEST = float(np.finfo(np.float16).max)

# The hidden layers [layers, windows, steps, features] of windows [windows, samples].
FeatureFn = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class CachedFeatures:
    """Hidden layers of all windows of clips.

    Attributes:
        paths: of each clip, the file of float16 `[frames, variants, layers, steps, features]`.
    """

    paths: Sequence[Path] = field(repr=False)

    def read(self, clips: Int64Array, starts: Int64Array, variants: Int64Array, length: int) -> Tensor:
        """Reads sequences.

        Args:
            clips: of each item, `[items]`.
            starts: first frame from the start of the clip, `[items]`.
            variants: see `FeatureCache.prepare`, `[items]`.
            length: frames of a sequence.

        Returns:
            Float16 `[items * length, layers, steps, features]`.

        Raises:
            UserError: a file is not there any more.
        """
        places = zip(clips.tolist(), starts.tolist(), variants.tolist(), strict=True)
        read = [_mapped(self.paths[clip])[start : start + length, variant] for clip, start, variant in places]
        return torch.from_numpy(np.concatenate(read))


@dataclass(frozen=True)
class FeatureCache:
    """A folder of features.

    Attributes:
        folder: SPEECH_FEATURES_ROOT.
        encoder: the speech encoder, in any mode: features are made in evaluation mode, and it has its mode back
            afterwards.
        hear: what it makes of windows.
        device: where it is.
    """

    folder: Path
    encoder: SpeechEncoder
    hear: FeatureFn
    device: torch.device

    def prepare(
        self, windows: AudioWindows, shifts: Float64Array, rank: int = 0, world_size: int = 1
    ) -> CachedFeatures:
        """Finds the features of all frames of all clips, and makes those that there are not.

        Global random generators stand afterwards where they stood, whether anything was made or not.

        Args:
            windows: the clips and their sound.
            shifts: in frames: variant i of a frame is heard moved in time by the i-th of them; of a held pose it is the
                i-th noise.
            rank: this process, which makes its share.
            world_size: processes that train together; each waits for the others.

        Raises:
            UserError: a recording cannot be read, or a file cannot be written.
        """
        with interruptible():  # every finished clip is kept
            return self._prepare(windows, shifts, rank, world_size)

    def _prepare(self, windows: AudioWindows, shifts: Float64Array, rank: int, world_size: int) -> CachedFeatures:
        identity = self._identity()
        paths = [self.folder / f"{_key(identity, windows, clip, shifts)}.npy" for clip in range(len(windows.clips))]
        # The share of a process must not depend on how far the others are.
        missing = [(clip, path) for clip, path in list(enumerate(paths))[rank::world_size] if _open(path) is None]
        if missing:
            self._make(windows, shifts, missing)
        if world_size > 1:
            wait_for_all()
        _mapped.cache_clear()
        for path in paths:
            _mapped(path)
        return CachedFeatures(paths)

    def _make(self, windows: AudioWindows, shifts: Float64Array, wanted: list[tuple[int, Path]]) -> None:
        LOGGER.info(
            "extracting the speech features of %d of %d clips, at %d shifts in time; kept in %s",
            len(wanted),
            len(windows.clips),
            len(shifts),
            self.folder,
        )
        with _evaluation_mode(self.encoder), preserve_rng_state({}, self.device):
            for clip, path in track(wanted, len(wanted), "extracting speech features"):
                try:
                    write_npy(path, self._hear_clip(windows, shifts, clip))
                except UserError as error:
                    hint = f"{error.hint} SPEECH_FEATURES = 'exact' needs no disk."
                    raise UserError(error.problem, path=error.path, hint=hint) from error

    def _hear_clip(self, windows: AudioWindows, shifts: Float64Array, clip: int) -> Float16Array:
        """`[frames, variants, layers, steps, features]`."""
        frames = np.arange(windows.clips[clip].first, windows.clips[clip].last + 1)
        blocks = []
        for variant, shift in enumerate(shifts.tolist()):
            heard = []
            for some in np.array_split(frames, -(-len(frames) // _WINDOWS_AT_ONCE)):
                which = np.full(len(some), clip)
                audio = windows.read(which, some[:, None], np.full(len(some), shift), np.full(len(some), variant))
                hidden = self.hear(torch.from_numpy(audio).to(self.device)).transpose(0, 1)
                heard.append(hidden.float().clamp(-_LARGEST, _LARGEST).to(torch.float16).cpu().numpy())
            blocks.append(np.concatenate(heard))
        return np.stack(blocks, axis=1)

    def _identity(self) -> bytes:
        """What the encoder is: its record, and its weights but those that combine layers."""
        digest = hashlib.sha256(_VERSION)
        digest.update(json.dumps(encoders.encoder_record(self.encoder), sort_keys=True).encode())
        for name, weight in sorted(self.encoder.state_dict().items()):
            if not name.startswith("combine."):
                digest.update(name.encode())
                digest.update(weight.detach().cpu().contiguous().numpy().tobytes())
        return digest.digest()


@contextmanager
def _evaluation_mode(encoder: nn.Module) -> Iterator[None]:
    """The encoder is in evaluation mode inside; each of its modules has its own mode back afterwards."""
    modes = [(module, module.training) for module in encoder.modules()]
    encoder.eval()
    try:
        yield
    finally:
        for module, is_training in modes:
            module.training = is_training


def _key(identity: bytes, windows: AudioWindows, clip: int, shifts: Float64Array) -> str:
    """The name of a clip's file: a hash of all that its features depend on."""
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


@lru_cache(maxsize=_MOST_OPEN)
def _mapped(path: Path) -> Float16Array:
    """Features that were kept, mapped; few files are open at a time, however many clips there are."""
    features = _open(path)
    if features is None:
        raise UserError("cannot be read back", path=path, hint="Check the disk, or set SPEECH_FEATURES = 'exact'.")
    return features


def _open(path: Path) -> Float16Array | None:
    """Features that were kept; None where there are none, or none that can be read."""
    try:
        features: Float16Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return features
