"""The streaming network's training task: data, losses, learning rate, validation, and what a run keeps of it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from audio2face.config import Configuration, TrainStreaming
from audio2face.console import LOGGER
from audio2face.errors import UserError
from audio2face.models import encoders
from audio2face.models.encoders import SpeechEncoder
from audio2face.models.encoders.frames import CausalEncoder
from audio2face.models.encoders.registry import get_encoder_spec
from audio2face.models.streaming.loss import StreamingGeometry, StreamingLoss, StreamingLossWeights
from audio2face.models.streaming.network import ActorScales, StreamingNetwork, StreamingSettings, cut_windows
from audio2face.training.baselines import ValidatedClips
from audio2face.training.data.actors import ActorSource, warn_of_missing_lists
from audio2face.training.data.batch_sampler import check_same_data
from audio2face.training.data.dataset import TrainingData
from audio2face.training.data.features import open_encoder
from audio2face.training.data.segments import PcaDecoder, SegmentBatch, segment_losses
from audio2face.training.distillation import with_pseudo_labels
from audio2face.training.metrics import LIP_ERROR, SKIN_ERROR, FaceScores, HeldOutFrame
from audio2face.training.pretrained import load_pretrained_streaming
from audio2face.training.run_folder import TrainingRun, run_records
from audio2face.training.task import ParameterGroup, ResumeMetadata, channel_mask
from audio2face.types import MM_PER_CM, Float32Array

if TYPE_CHECKING:  # loads in two seconds, which deployment is spared
    from lightning_fabric import Fabric

REACH = "skin_reach_mm"  # of the record of a network whose coefficients are weights of blend shapes
_BLOCK_FRAMES = 512  # of a validation clip at once
_LAST_RATE = 0.02  # learning rate at the end, as a fraction of that at the start


class StreamingValidation:
    """Predicts the clips of the validation set from their start, and compares them with ground truth.

    Args:
        network: in evaluation mode during `run`.
        decoder: layout of the ground truth.
        data: all clips.
        train: training section.
    """

    def __init__(
        self, network: StreamingNetwork, decoder: PcaDecoder, data: TrainingData, train: TrainStreaming
    ) -> None:
        self._network, self._decoder, self._sources = network, decoder, data.sources
        self._loader, self._plans = data.validation_segments(train, network.timing.margins)
        self.scores = FaceScores()  # of the last call of `run`
        device = network.mean.device
        matrices = [source.skin.matrix.reshape(len(source.skin.matrix), -1) for source in data.sources]
        self._components = [torch.from_numpy(np.ascontiguousarray(each, np.float32)).to(device) for each in matrices]
        lists = [source.raw.lip_dist for source in data.sources]
        self._lips = [None if found is None else np.stack([found.upper, found.lower]) for found in lists]

    @property
    def has_lips(self) -> bool:
        """Whether the lip vertices of any validation clip are known."""
        return any(self._lips[self._actor_of(clip)] is not None for clip in range(len(self._loader.reader.clips)))

    def run(self) -> dict[str, float]:
        """The metrics of `FaceScores`; empty without validation clips."""
        self.scores = FaceScores()
        for plan in self._plans:
            self._clip(self._loader.load(plan).to(self._network.mean.device))
        return self.scores.metrics()

    def held_out_frame(self) -> HeldOutFrame | None:
        """A frame of the first clip, from the last call of `run`."""
        if self.scores.sample is None:
            return None
        source = self._sources[self._actor_of(self._plans[0].segments[0].clip)]
        if source.raw.skin_faces is None:
            return None
        mean = np.asarray(source.skin.mean, np.float32)
        predicted, true = (mean + side for side in self.scores.sample)
        return HeldOutFrame(
            actor=source.actor, faces=source.raw.skin_faces, neutral=mean, predicted=predicted, true=true
        )

    def _clip(self, batch: SegmentBatch) -> None:
        """Predicts a clip block by block; the poses of one block are in memory at a time."""
        network, (actor,), clip = self._network, batch.actors, batch.spec.segments[0].clip
        num_frames = batch.skin.shape[1]
        windows = cut_windows(batch.audio, network.timing, num_frames)
        context, state = windows.shape[1] - num_frames, network.start(1)
        true = self._decoder(batch)
        for start in range(-context, num_frames, _BLOCK_FRAMES):
            stop = min(start + _BLOCK_FRAMES, num_frames)
            block = windows[:, start + context : stop + context]
            emotion = batch.emotion[:, None].expand(-1, block.shape[1], -1)
            values, state = network.advance(block, emotion, batch.actor, state)
            kept = slice(max(start, 0), stop)
            if kept.start < stop:
                frames = self._skin(values[0, kept.start - start :], actor), self._skin(true[0, kept], actor)
                self.scores.add(clip, *frames, self._lips[actor])

    def _skin(self, values: Tensor, actor: int) -> Tensor:
        """The deltas from the mean pose `[frames, verts, 3]` of frames `[frames, channels]`."""
        components = self._components[actor]
        deltas: Tensor = values[:, : len(components)] @ components
        return deltas.reshape(len(values), -1, 3)

    def _actor_of(self, clip: int) -> int:
        return self._loader.actor_names.index(self._loader.reader.clips[clip].shot.actor)


def open_task(configuration: Configuration, fabric: Fabric, state: ResumeMetadata | None) -> StreamingTask:
    """Opens data and network of a configuration.

    Args:
        configuration: for stage "train" and network type "streaming".
        fabric: device and processes.
        state: metadata of a resumed run; None for a new one.

    Raises:
        UserError: data, speech encoder or weights to start from are missing or do not fit.
    """
    train = configuration.section("train", TrainStreaming)
    data = TrainingData.open(configuration.dataset, train, None if state is None else state.preproc_runs)
    data = with_pseudo_labels(data, configuration, fabric, state)
    encoder = causal_encoder(open_encoder(train, state, {"fine_tune": train.SPEECH_ENCODER_LR_MULT > 0}))
    task = StreamingTask(train, data, encoder, fabric, run_records("streaming", data, configuration))
    if train.PRETRAINED_NET_FPATH is not None and (state is None or not state.has_weights):
        load_pretrained_streaming(task.network, train.PRETRAINED_NET_FPATH, task.actors)
    return task


def causal_encoder(encoder: SpeechEncoder) -> CausalEncoder:
    """Returns a speech encoder that carries its state from step to step.

    Raises:
        UserError: it does not.
    """
    if isinstance(encoder, CausalEncoder):
        return encoder
    raise UserError(
        f"SPEECH_ENCODER: a streaming network needs a causal speech encoder, {encoder.info.name!r} is none",
        hint="Set SPEECH_ENCODER in config_train.py to 'a2f-phonetic', or to 'logmel-causal', trained from scratch.",
    )


def load_network(run: TrainingRun) -> StreamingNetwork:
    """The trained network of a finished run, on the CPU in evaluation mode; needs neither data nor hub.

    Raises:
        UserError: the run holds another kind of network, or files of it are damaged.
    """
    recorded = run.network
    encoder = causal_encoder(encoders.rebuild_encoder(recorded["encoder"], run.path))
    network = StreamingNetwork(StreamingSettings(**recorded["settings"]), encoder)
    network.load_state_dict(run.weights())
    return network.eval()


class StreamingTask:
    """The `Task` of a streaming network.

    Args:
        train: training section.
        data: all clips.
        encoder: the speech encoder with its pretrained weights.
        fabric: device and processes.
        metadata: `Task.metadata_files`.
    """

    reference_sums_items = False

    def __init__(
        self,
        train: TrainStreaming,
        data: TrainingData,
        encoder: CausalEncoder,
        fabric: Fabric,
        metadata: dict[str, Any],
    ) -> None:
        self.actors = [source.actor for source in data.sources]
        self._train, self._data, self._fabric, self._metadata = train, data, fabric, metadata
        self._settings = _settings(train, data)
        scales = _scales(data)
        self.network = StreamingNetwork(self._settings, encoder, scales).to(fabric.device)
        self._decoder = PcaDecoder(data.sources, train.TARGET_CHANNELS, rescale=False).to(fabric.device)
        faces = [
            _geometry(data, source, deviation, train)
            for source, deviation in zip(data.sources, scales.deviation, strict=True)
        ]
        self._loss_fn = StreamingLoss(self._settings.sizes, _loss_weights(train), faces).to(fabric.device)
        self._loader, self._sampler = data.segments(
            train,
            batch_size=train.BATCH_SIZE * fabric.world_size,
            rank=fabric.global_rank,
            world_size=fabric.world_size,
            margins=self._settings.timing.margins,
        )
        self.num_batches = self._sampler.batches_per_epoch
        self.items_per_batch = train.BATCH_SIZE
        self.generators: Mapping[str, torch.Generator] = {}
        self._validation = StreamingValidation(self.network, self._decoder, data, train)
        self.best_metric = LIP_ERROR if self._validation.has_lips else SKIN_ERROR
        if data.emotions.is_inert:
            LOGGER.info("no emotion besides the zero one: the network gets an inert one, which consumers need")

    def parameter_groups(self) -> list[ParameterGroup]:
        """All weights; those of a pretrained speech encoder have a rate of their own, or are frozen."""
        is_pretrained = get_encoder_spec(self._train.SPEECH_ENCODER).pretrained is not None
        encoder = [weight for weight in self.network.encoder.parameters() if weight.requires_grad]
        own = [weight for name, weight in self.network.named_parameters() if not name.startswith("encoder.")]
        factor = self._train.SPEECH_ENCODER_LR_MULT if is_pretrained else 1.0
        tuned = [ParameterGroup(encoder, factor)] if encoder else []
        return [ParameterGroup(own), *tuned]

    def learning_rate(self, epoch: int) -> float:
        """LEARNING_RATE, which falls over half a cosine to a fiftieth."""
        share = 0.5 * (1 + math.cos(math.pi * epoch / self._train.NUM_EPOCHS))
        return self._train.LEARNING_RATE * (_LAST_RATE + (1 - _LAST_RATE) * share)

    def batches(self, epoch: int, first_batch: int) -> Generator[SegmentBatch, None, None]:
        """Segments that the sampler draws, loaded in the background."""
        yield from self._loader.batches(self._sampler.epoch(epoch, first_batch))

    def losses(self, network: Callable[..., Any], batch: SegmentBatch) -> Mapping[str, Tensor]:
        """Predicts a batch, and computes the losses."""
        batch = batch.to(self._fabric.device)
        target = self._decoder(batch)
        predicted = network(batch.audio, target.shape[1], batch.emotion, batch.actor)
        valid = channel_mask(batch.valid, self._settings.sizes, self._fabric.device)
        return segment_losses(self._loss_fn, predicted, target, batch, valid)

    def finish_gradients(self) -> None:
        """Does nothing: gradients are complete."""

    def commit_step(self) -> None:
        """Does nothing: there are no running statistics."""

    def discard_step(self) -> None:
        """Does nothing: there are no running statistics."""

    def validate(self) -> dict[str, float]:
        """The metrics of `StreamingValidation`."""
        return self._validation.run()

    def validated_clips(self) -> ValidatedClips:
        """The lip metrics of each clip, at the rate of the network."""
        return ValidatedClips(self._data, self._train.TARGET_FPS, self._validation.scores.lip_scores())

    def held_out_frame(self) -> HeldOutFrame | None:
        """The frame of `StreamingValidation`."""
        return self._validation.held_out_frame()

    def state(self) -> dict[str, Any]:
        """The fingerprint of the sampler."""
        return {"sampler": self._sampler.fingerprint}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Makes sure that the data are those of the checkpoint."""
        check_same_data(state.get("sampler"), self._sampler.fingerprint)

    def network_config(self) -> dict[str, Any]:
        """Everything that `load_network` and the export need beside weights."""
        reach = _reach(self._data)
        return {
            "network_type": "streaming",
            "network_name": self._train.NETWORK_NAME,
            "settings": dataclasses.asdict(self._settings),
            "actors": self.actors,
            "emotions": list(self._data.emotions.names),
            "encoder": encoders.encoder_record(self.network.encoder),
            **({} if reach is None else {REACH: reach}),
        }

    def metadata_files(self) -> dict[str, Any]:
        """Sizes and settings in the files that other tools expect, and the provenance of the data."""
        return self._metadata

    def export(self, folder: Path) -> None:
        """Does nothing: deployment needs the weights only."""


def _reach(data: TrainingData) -> float | None:
    """How far a vertex moves at most where every coefficient of the skin changes by 1, mm; None for PCA components."""
    if all(source.skin_metric is None for source in data.sources):
        return None
    reaches = [np.linalg.norm(source.skin.matrix, axis=2).sum(axis=0).max() for source in data.sources]
    return MM_PER_CM * float(max(reaches))


def _settings(train: TrainStreaming, data: TrainingData) -> StreamingSettings:
    counts, sizes = data.sources[0].info.counts, train.NETWORK_HYPER_PARAMS
    return StreamingSettings(
        skin_size=counts["num_shapes_skin"],
        tongue_size=counts["num_shapes_tongue"],
        jaw_size=3 * counts["num_keypoints_jaw"],
        eye_size=2 * counts["num_angles_eye"],
        actors=len(data.sources),
        emotions=len(data.emotions.names),
        fps=train.TARGET_FPS,
        look_ahead_frames=train.LOOK_AHEAD_FRAMES,
        width=sizes["width"],
        dilations=list(sizes["dilations"]),
        dropout=sizes["dropout"],
    )


def _scales(data: TrainingData) -> ActorScales:
    """Mean and standard deviation of the channels of each actor in the training clips."""
    tables = []
    for source in data.sources:
        parts = _training_motion(data, source.actor)
        frames = np.concatenate([np.concatenate(each, axis=1) for each in parts]).astype(np.float64)
        tables.append((frames.mean(axis=0), frames.std(axis=0)))
    mean, deviation = (torch.from_numpy(np.stack(each).astype(np.float32)) for each in zip(*tables, strict=True))
    return ActorScales(mean, deviation)


def _training_motion(data: TrainingData, actor: str) -> list[list[Float32Array]]:
    """Skin, tongue, jaw and eyes of an actor in each training clip, `[frames, channels]` each."""
    clips = [clip for clip in data.training_clips if clip.shot.actor == actor and not clip.shot.is_muted]
    return [[part[clip.first : clip.last + 1] for part in data.motions[clip.shot.id].parts] for clip in clips]


def _loss_weights(train: TrainStreaming) -> StreamingLossWeights:
    return StreamingLossWeights(
        mse=train.LOSS_MSE_ALPHA,
        velocity=train.LOSS_VELOCITY_ALPHA,
        lip_position=train.LOSS_LIP_POSITION_ALPHA,
        lip_distance=train.LOSS_LIP_DIST_ALPHA,
        lip_distance_exponent=train.LOSS_LIP_DIST_EXP,
        tongue=train.TONGUE_WEIGHT,
        jaw=train.JAW_WEIGHT,
    )


def _geometry(data: TrainingData, source: ActorSource, deviation: Tensor, train: TrainStreaming) -> StreamingGeometry:
    """The geometry that the losses use; warns of losses whose vertex lists the actor lacks."""
    lips = source.raw.lip_dist
    needs: Sequence[tuple[str, Any, str]] = (
        ("LOSS_LIP_DIST_ALPHA", lips, "SKIN_LIP_DIST_VERTEX_LIST_FPATH"),
        ("LOSS_LIP_POSITION_ALPHA", lips, "SKIN_LIP_DIST_VERTEX_LIST_FPATH"),
    )
    warn_of_missing_lists(source, train, needs)
    return StreamingGeometry(
        mean=torch.from_numpy(source.skin.mean),
        components=torch.from_numpy(source.skin.matrix),
        deviation=deviation,
        lips=None if lips is None else torch.from_numpy(np.stack([lips.upper, lips.lower])),
        metric=None if source.skin_metric is None else torch.from_numpy(source.skin_metric),
        spread=0.0 if source.skin_metric is None else _spread(data, source.actor, source.skin_metric),
    )


def _spread(data: TrainingData, actor: str, metric: Float32Array) -> float:
    """Standard deviation of the skin in the training clips, over all coordinates together, centimetres."""
    skin = np.concatenate([parts[0] for parts in _training_motion(data, actor)]).astype(np.float64)
    return float(np.sqrt((skin @ metric).var(axis=0).sum()))
