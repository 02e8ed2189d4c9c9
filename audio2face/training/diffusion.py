"""The diffusion network's training task: data, losses, learning rate, validation, and what a run keeps of it."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from audio2face.config import Configuration, InferenceDiffusion, TrainDiffusion
from audio2face.console import LOGGER
from audio2face.geometry.pca import dual_components
from audio2face.models import encoders
from audio2face.models.diffusion.loss import ActorGeometry, DiffusionLoss, DiffusionLossWeights
from audio2face.models.diffusion.network import ActorConstants, DiffusionNetwork, DiffusionSettings
from audio2face.models.diffusion.process import (
    add_noise_,
    make_noise_schedule,
    original_timesteps,
    random_noise,
    sample_timesteps,
    signal_and_spread,
)
from audio2face.models.diffusion.sampling import sample_clip
from audio2face.models.encoders import SpeechEncoder
from audio2face.models.gram import GramLosses, is_shorter
from audio2face.models.wide import Workspace
from audio2face.training.baselines import ValidatedClips
from audio2face.training.checkpoint import save_tensors
from audio2face.training.data.actors import ActorSource, warn_of_missing_lists
from audio2face.training.data.batch_sampler import check_same_data
from audio2face.training.data.dataset import TrainingData
from audio2face.training.data.features import open_encoder
from audio2face.training.data.segments import PcaDecoder, SegmentBatch, segment_losses
from audio2face.training.distillation import with_pseudo_labels
from audio2face.training.distributed import average_gradients, leave_out
from audio2face.training.metrics import LIP_ERROR, SKIN_ERROR, FaceScores, HeldOutFrame
from audio2face.training.pretrained import load_pretrained
from audio2face.training.run_folder import TrainingRun, run_records
from audio2face.training.task import ParameterGroup, ResumeMetadata, channel_mask
from audio2face.types import CHANNELS, Float32Array

if TYPE_CHECKING:  # loads in two seconds, which deployment is spared
    from lightning_fabric import Fabric

_SEED = 0  # of the noise of every validation, which makes validations comparable


class DiffusionValidation:
    """Samples the clips of the validation set as at inference, with fixed noise, and compares them with ground truth.

    Args:
        network: in evaluation mode during `run`.
        decoder: decodes the coefficients of the ground truth.
        data: all clips.
        train: training section.
        inference: inference section, with the sampling steps.
    """

    def __init__(
        self,
        network: DiffusionNetwork,
        decoder: PcaDecoder,
        data: TrainingData,
        train: TrainDiffusion,
        inference: InferenceDiffusion,
    ) -> None:
        self._network, self._decoder = network, decoder
        self._loader, self._plans = data.validation_segments(train)
        self._schedule = make_noise_schedule(
            train.DIFFUSION_NOISE_SCHEDULE, train.DIFFUSION_STEPS, inference.TIMESTEP_RESPACING
        )
        self._inference = inference
        # Factors that undo the normalisation of differences of positions, in which translations cancel.
        self._sources, self._is_rescaled = data.sources, train.RESCALE_TARGET_CHANNEL_DATA
        self.scores = FaceScores()  # of the last call of `run`
        self._scales = [
            source.info.scale["skin"] if train.RESCALE_TARGET_CHANNEL_DATA else 1.0 for source in data.sources
        ]
        lists = [source.raw.lip_dist for source in data.sources]
        self._lips = [None if found is None else np.stack([found.upper, found.lower]) for found in lists]

    @property
    def has_lips(self) -> bool:
        """Whether the lip vertices of any validation clip are known."""
        return any(
            self._lips[self._loader.actor_names.index(clip.shot.actor)] is not None
            for clip in self._loader.reader.clips
        )

    def run(self) -> dict[str, float]:
        """The metrics of `FaceScores`; empty without validation clips."""
        self.scores = FaceScores()
        for plan in self._plans:
            self._clip(self._loader.load(plan), self.scores)
        return self.scores.metrics()

    def held_out_frame(self) -> HeldOutFrame | None:
        """A frame of the first clip, from the last call of `run`."""
        if self.scores.sample is None:
            return None
        actor = self._loader.actor_names.index(self._loader.reader.clips[self._plans[0].segments[0].clip].shot.actor)
        source = self._sources[actor]
        if source.raw.skin_faces is None:
            return None
        centre = np.asarray(source.info.translate["skin"] if self._is_rescaled else 0.0, np.float32)
        predicted, true = (side + centre for side in self.scores.sample)
        return HeldOutFrame(
            actor=source.actor,
            faces=source.raw.skin_faces,
            neutral=np.asarray(source.skin.mean, np.float32),
            predicted=predicted,
            true=true,
        )

    def _clip(self, batch: SegmentBatch, scores: FaceScores) -> None:
        """Samples a clip block by block; the poses of one block are in memory at a time."""
        network, inference = self._network, self._inference
        batch = batch.to(network.neutral.device)
        frames, sizes = batch.skin.shape[1], network.settings.sizes
        conditions = network.conditions(network.encode(batch.audio), frames, batch.actor, batch.emotion)
        noise = random_noise(1, sizes.total, torch.Generator().manual_seed(_SEED), network.neutral.device)
        sampled = sample_clip(
            network,
            self._schedule,
            conditions,
            noise,
            skip_steps=inference.SKIP_STEPS,
            deterministic=inference.USE_DDIM,
        )
        start, actor = 0, batch.actors[0]
        for values in sampled:
            stop = start + values.shape[1]
            true = self._decoder(batch.slice_frames(start, stop))
            predicted, target = (
                side[0, :, : sizes.skin].unflatten(-1, (-1, 3)) * self._scales[actor] for side in (values, true)
            )
            start = stop
            scores.add(batch.spec.segments[0].clip, predicted, target, self._lips[actor])


CONSTANTS_FILE = "actor_constants.safetensors"


def open_task(configuration: Configuration, fabric: Fabric, state: ResumeMetadata | None) -> DiffusionTask:
    """Opens data and network of a configuration.

    Args:
        configuration: for stage "train" and network type "diffusion".
        fabric: device and processes.
        state: metadata of a resumed run; None for a new one.

    Raises:
        UserError: data, speech encoder or weights to start from are missing or do not fit.
    """
    train, inference = (
        configuration.section("train", TrainDiffusion),
        configuration.section("inference", InferenceDiffusion),
    )
    data = TrainingData.open(configuration.dataset, train, None if state is None else state.preproc_runs)
    data = with_pseudo_labels(data, configuration, fabric, state)
    encoder = open_encoder(train, state)
    metadata = run_records("diffusion", data, configuration)
    task = DiffusionTask(train, inference, data, encoder, fabric, metadata)
    if train.PRETRAINED_NET_FPATH is not None and (state is None or not state.has_weights):
        load_pretrained(task.network, train.PRETRAINED_NET_FPATH, task.actors)
    return task


def load_network(run: TrainingRun) -> DiffusionNetwork:
    """The trained network of a finished run, on the CPU in evaluation mode; needs neither data nor hub.

    Raises:
        UserError: the run holds another kind of network, or files of it are damaged.
    """
    recorded, constants = run.network, run.tensors(CONSTANTS_FILE)
    network = DiffusionNetwork(
        DiffusionSettings(**recorded["settings"]),
        ActorConstants(constants["neutral"], constants["scale"]),
        encoders.rebuild_encoder(recorded["encoder"], run.path),
    )
    network.load_state_dict(run.weights())
    return network.eval()


class DiffusionTask:
    """The `Task` of a diffusion network.

    Args:
        train: training section.
        inference: inference section, with the sampling of validation.
        data: all clips.
        encoder: the speech encoder with its pretrained weights.
        fabric: device and processes.
        metadata: `Task.metadata_files`.
    """

    reference_sums_items = True  # its batches are single segments, whose gradients it accumulates

    def __init__(
        self,
        train: TrainDiffusion,
        inference: InferenceDiffusion,
        data: TrainingData,
        encoder: SpeechEncoder,
        fabric: Fabric,
        metadata: dict[str, Any],
    ) -> None:
        self.actors = [source.actor for source in data.sources]
        self._train, self._data, self._fabric, self._metadata = train, data, fabric, metadata
        self._constants = _constants(data.sources)
        self._settings = _settings(train, data, encoder)
        self.network = DiffusionNetwork(self._settings, self._constants, encoder).to(fabric.device)
        self.network.workspace = self._workspace = Workspace()
        leave_out(fabric, self.network, self.network.wide_parameters)
        self._decoder = PcaDecoder(data.sources, train.TARGET_CHANNELS, train.RESCALE_TARGET_CHANNEL_DATA).to(
            fabric.device
        )
        faces = [_actor_geometry(source, train) for source in data.sources]
        self._loss_fn = DiffusionLoss(self._settings.sizes, _loss_weights(train), faces).to(fabric.device)
        self._schedule = make_noise_schedule(
            train.DIFFUSION_NOISE_SCHEDULE, train.DIFFUSION_STEPS, train.TIMESTEP_RESPACING
        )
        self._loader, self._sampler = data.segments(
            train,
            batch_size=train.BATCH_SIZE * fabric.world_size,
            rank=fabric.global_rank,
            world_size=fabric.world_size,
        )
        self._open_gram()
        self.num_batches = self._sampler.batches_per_epoch
        self.items_per_batch = train.BATCH_SIZE
        seed = train.RNG_SEED_TORCH + fabric.global_rank
        self.generators = {
            "steps": torch.Generator().manual_seed(seed),
            "noise": torch.Generator(fabric.device).manual_seed(seed),
        }
        self._validation = DiffusionValidation(self.network, self._decoder, data, train, inference)
        self.best_metric = LIP_ERROR if self._validation.has_lips else SKIN_ERROR
        if data.emotions.is_inert:
            LOGGER.info("no emotion besides the zero one: the network gets an inert one, which consumers need")

    def _open_gram(self) -> None:
        """Lets the losses train the last layers as quadratic forms, where that is less work."""
        shapes = self._decoder.shapes(self.network.neutral)
        layers = self.network.heads.wide_layers
        most = max(len(parts[0].components) for parts in shapes) if shapes else 0
        is_less = is_shorter(self._frames_of_update(), layers[0].in_features, most)
        if shapes and is_less and self._fabric.device.type == "cpu":  # not measured on others
            self._loss_fn.gram = GramLosses(layers, shapes, self._workspace)
            self.network.leaves_faces = True

    def _frames_of_update(self) -> float:
        """The mean number of frames of an update of the weights."""
        train = self._train
        lengths = np.asarray(self._loader.reader.clip_frames, np.float64)
        if train.TRAIN_ON_RANDOM_SUBSEGMENT:
            longest = np.minimum(lengths, train.SUBSEGMENT_MAX_FRAME)
            lengths = (longest + np.minimum(longest, train.SUBSEGMENT_MIN_FRAME)) / 2
        return float(lengths.mean()) * train.BATCH_SIZE * train.GRADIENT_ACCUMULATION_STEPS

    def parameter_groups(self) -> list[ParameterGroup]:
        """All weights except the frozen ones of the speech encoder."""
        return [ParameterGroup([weight for weight in self.network.parameters() if weight.requires_grad])]

    def learning_rate(self, epoch: int) -> float:
        """The learning rate of `diffusion_learning_rate`: a linear warm-up, then half a cosine."""
        return diffusion_learning_rate(epoch, self._train.NUM_EPOCHS, self._train.LEARNING_RATE)

    def batches(self, epoch: int, first_batch: int) -> Generator[SegmentBatch, None, None]:
        """Segments that the sampler draws, loaded in the background."""
        yield from self._loader.batches(self._sampler.epoch(epoch, first_batch))

    def losses(self, network: Callable[..., Any], batch: SegmentBatch) -> Mapping[str, Tensor]:
        """Adds noise to the poses of a batch, lets the network denoise them, and compares; speech is encoded once."""
        device = self._fabric.device
        batch = batch.to(device)
        shape = (*batch.skin.shape[:2], self._settings.sizes.total)
        whole = functools.cache(lambda: self._decoder(batch, self._workspace.take("target", shape, device)))
        steps = sample_timesteps(self._schedule, len(batch.skin), self.generators["steps"])
        noise = self._workspace.take("noise", shape, device).normal_(generator=self.generators["noise"])
        if self.network.leaves_faces:
            noisy = self._decoder.diffuse(batch, noise, *signal_and_spread(self._schedule, steps))
        else:
            noisy = add_noise_(self._schedule, whole(), steps, noise)
        predicted = network(
            noisy,
            original_timesteps(self._schedule, steps),
            batch.audio,
            batch.actor,
            batch.emotion,
            batch.lengths,
            batch.audio_lengths,
        )
        valid = channel_mask(batch.valid, self._settings.sizes, device)
        if not self.network.leaves_faces:
            return segment_losses(self._loss_fn.fused, predicted, whole(), batch, valid)
        return segment_losses(self._loss_fn.of_outputs, predicted, self._decoder.shaped(batch, whole), batch, valid)

    def finish_gradients(self) -> None:
        """Adds the gradients of the last layers that quadratic forms keep back, and averages those of wide layers."""
        if self._loss_fn.gram is not None:
            self._loss_fn.gram.finish()
        average_gradients(self._fabric, self.network.wide_parameters.values())

    def commit_step(self) -> None:
        """Does nothing: there are no running statistics."""

    def discard_step(self) -> None:
        """Drops the gradients that `finish_gradients` would add; there are no running statistics."""
        if self._loss_fn.gram is not None:
            self._loss_fn.gram.clear()

    def validate(self) -> dict[str, float]:
        """The metrics of `DiffusionValidation`."""
        return self._validation.run()

    def validated_clips(self) -> ValidatedClips:
        """The lip metrics of each clip, at the rate of the network."""
        return ValidatedClips(self._data, self._train.TARGET_FPS, self._validation.scores.lip_scores())

    def held_out_frame(self) -> HeldOutFrame | None:
        """The frame of `DiffusionValidation`."""
        return self._validation.held_out_frame()

    def state(self) -> dict[str, Any]:
        """The fingerprint of the sampler."""
        return {"sampler": self._sampler.fingerprint}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Makes sure that the data are those of the checkpoint."""
        check_same_data(state.get("sampler"), self._sampler.fingerprint)

    def network_config(self) -> dict[str, Any]:
        """Everything that `load_network` needs beside weights and constants."""
        assert isinstance(self.network.encoder, SpeechEncoder)
        return {
            "network_type": "diffusion",
            "network_name": self._train.NETWORK_NAME,
            "settings": dataclasses.asdict(self._settings),
            "actors": self.actors,
            "emotions": list(self._data.emotions.names),
            "encoder": encoders.encoder_record(self.network.encoder),
        }

    def metadata_files(self) -> dict[str, Any]:
        """Sizes and settings in the files that other tools expect, and the provenance of the data."""
        return self._metadata

    def export(self, folder: Path) -> None:
        """Writes the actors' constants, which the state dict excludes."""
        save_tensors({"neutral": self._constants.neutral, "scale": self._constants.scale}, folder / CONSTANTS_FILE)


def diffusion_learning_rate(
    epoch: int, epochs: int, base: float, *, start: float = 1e-4, lowest: float = 1e-5, warmup: int = 10
) -> float:
    """The learning rate of the diffusion network: a straight line to the base rate, then half a cosine.

    It equals timm's CosineLRScheduler when its `step` gets, after each epoch, the number of the epoch just done: the
    first two epochs share a rate, and the cosine, which counts from the first epoch, begins a little below the base
    rate. The default start is above the default base rate of 5e-5, so the reference's "warm-up" decreases.

    Args:
        epoch: from 0.
        epochs: length of the whole training; one of at most `warmup` epochs stays on the line.
        base: LEARNING_RATE.
        start: rate of the first epoch.
        lowest: rate at the end of the cosine.
        warmup: length of the line in epochs.
    """
    done = max(epoch - 1, 0)
    if done < warmup:
        return start + (base - start) * done / warmup
    if done >= epochs:
        return lowest
    return lowest + 0.5 * (base - lowest) * (1 + math.cos(math.pi * done / epochs))


def _constants(sources: tuple[ActorSource, ...]) -> ActorConstants:
    scales = [[source.info.scale[part] for part in CHANNELS] for source in sources]
    neutral = np.stack([source.mean_geometry for source in sources])
    return ActorConstants(torch.from_numpy(neutral), torch.tensor(scales, dtype=torch.float32))


def _settings(train: TrainDiffusion, data: TrainingData, encoder: SpeechEncoder) -> DiffusionSettings:
    counts = data.sources[0].info.counts
    alignment = encoder.info.frame_alignment(train.TARGET_FPS)
    sizes = {name: size for name, size in train.NETWORK_HYPER_PARAMS.items() if name != "hubert_feature_dim"}
    return DiffusionSettings(
        skin_size=3 * counts["num_verts_skin"],
        tongue_size=3 * counts["num_verts_tongue"],
        jaw_size=3 * counts["num_keypoints_jaw"],
        eye_size=2 * counts["num_angles_eye"],
        actors=len(data.sources),
        emotions=len(data.emotions.names),
        fps=train.TARGET_FPS,
        encoder_width=encoder.info.width,
        encoder_step=alignment.step,
        encoder_first_step=alignment.first_step,
        diffusion_steps=train.DIFFUSION_STEPS,
        **sizes,  # type: ignore[arg-type]
    )


def _loss_weights(train: TrainDiffusion) -> DiffusionLossWeights:
    return DiffusionLossWeights(
        tongue=train.TONGUE_WEIGHT,
        jaw=train.JAW_WEIGHT,
        lip_distance=train.LOSS_LIP_DIST_ALPHA,
        lip_distance_exponent=train.LOSS_LIP_DIST_EXP,
        velocity=train.LOSS_VELOCITY_ALPHA,
        upper_face_smoothness=train.LOSS_EXP_SMOOTH_ALPHA,
        lip_position=train.LOSS_LIP_POSITION_ALPHA,
    )


def _dual(components: Float32Array) -> Tensor:
    return torch.from_numpy(dual_components(components.reshape(len(components), -1)).reshape(components.shape))


def _actor_geometry(source: ActorSource, train: TrainDiffusion) -> ActorGeometry:
    """The geometry that the losses use; warns of losses whose vertex lists the actor lacks."""
    lips, lids = source.raw.lip_dist, source.raw.eye_dist
    needs = (
        ("LOSS_LIP_DIST_ALPHA", lips, "SKIN_LIP_DIST_VERTEX_LIST_FPATH"),
        ("LOSS_LIP_POSITION_ALPHA", lips, "SKIN_LIP_DIST_VERTEX_LIST_FPATH"),
        ("LOSS_EXP_SMOOTH_ALPHA", lids, "SKIN_EYE_DIST_VERTEX_LIST_FPATH"),
    )
    warn_of_missing_lists(source, train, needs)
    rescaled = train.RESCALE_TARGET_CHANNEL_DATA
    return ActorGeometry(
        scale=source.info.scale["skin"] if rescaled else 1.0,
        translate=torch.tensor(source.info.translate["skin"] if rescaled else (0.0, 0.0, 0.0)),
        mean=torch.from_numpy(source.skin.mean),
        components=torch.from_numpy(source.skin.matrix),
        lips=None if lips is None else torch.from_numpy(np.stack([lips.upper, lips.lower])),
        lower_lids=None if lids is None else torch.from_numpy(lids.lower[:2]),
        dual=None if source.skin_metric is None else _dual(source.skin.matrix),
    )
