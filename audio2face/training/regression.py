"""The regression network's training task: data, losses, learning rate, validation, and what a run keeps of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from audio2face.config import Configuration, InferenceRegression, TrainRegression
from audio2face.console import LOGGER
from audio2face.errors import UserError
from audio2face.io.atomic import write_npz
from audio2face.model_folder.regression import EMOTION_DATABASE_FILE, EmotionDatabase
from audio2face.models import encoders
from audio2face.models.encoders import SpeechEncoder
from audio2face.models.regression.layers import AutocorrelationSettings
from audio2face.models.regression.loss import RegressionLoss, RegressionLossWeights, SkinGeometry
from audio2face.models.regression.network import (
    EncoderFrames,
    ImplicitEmotions,
    RegressionNetwork,
    RegressionOutput,
    RegressionSettings,
    RegressionTrainingModule,
)
from audio2face.training.baselines import ValidatedClips
from audio2face.training.data.actors import ActorSource, warn_of_missing_lists
from audio2face.training.data.batch_sampler import check_same_data
from audio2face.training.data.dataset import TrainingData
from audio2face.training.data.features import FeatureCache, caches_features, open_encoder
from audio2face.training.data.phonemes import PhonemeTables, phoneme_tables
from audio2face.training.data.pseudo_labels import group_ranges
from audio2face.training.data.samplers import SequenceBatchSpec, TimeShiftGrid
from audio2face.training.data.sequences import SequenceBatch, SequenceLoader, check_source, emotion_database, num_rows
from audio2face.training.distillation import with_pseudo_labels
from audio2face.training.distributed import all_reduce_mean
from audio2face.training.metrics import LIP_ERROR, SKIN_ERROR, FaceScores, HeldOutFrame
from audio2face.training.pretrained import load_pretrained_regression
from audio2face.training.run_folder import DEPLOY_FOLDER, TrainingRun, run_records
from audio2face.training.task import ParameterGroup, ResumeMetadata, channel_mask

if TYPE_CHECKING:  # loads in two seconds, which deployment is spared
    from lightning_fabric import Fabric


def network_settings(
    train: TrainRegression, data: TrainingData, encoder: SpeechEncoder | None, phonemes: PhonemeTables | None
) -> RegressionSettings:
    """The sizes and inputs of the network.

    Raises:
        UserError: parameters contradict each other.
    """
    counts, sizes, audio = data.sources[0].info.counts, train.NETWORK_HYPER_PARAMS, train.AUDIO_PARAMS
    try:
        return RegressionSettings(
            skin_size=counts["num_shapes_skin"],
            tongue_size=counts["num_shapes_tongue"],
            jaw_size=3 * counts["num_keypoints_jaw"],
            eye_size=2 * counts["num_angles_eye"],
            emotions=len(data.emotions.names),
            implicit_emotion_len=sizes["implicit_emotion_len"],
            explicit_emo_emb_len=sizes["explicit_emo_emb_len"],
            samples=audio["buffer_len"],
            samplerate=audio["samplerate"],
            speech=None if encoder is None else EncoderFrames.from_encoder(encoder, audio["buffer_len"]),
            autocorrelation=AutocorrelationSettings(**sizes["autocorr_params"]),
            use_autocorrelation=sizes["use_autocorr_features"],
            phonemes={} if phonemes is None else {name: len(phones) for name, phones in phonemes.phones.items()},
        )
    except ValueError as error:
        raise UserError(
            str(error), hint="Correct NETWORK_HYPER_PARAMS or AUDIO_PARAMS in config_train.py; the defaults fit."
        ) from error


def loss_weights(train: TrainRegression) -> RegressionLossWeights:
    """The weights of the losses of a training section."""
    return RegressionLossWeights(
        mse=train.LOSS_MSE_ALPHA,
        velocity=train.LOSS_MOTION_ALPHA,
        embedding_smoothness=train.LOSS_EMO_REG_ALPHA,
        lip_distance=train.LOSS_LIP_DIST_ALPHA,
        lip_distance_exponent=train.LOSS_LIP_DIST_EXP,
        lip_size=train.LOSS_LIP_SIZE_ALPHA,
        silence_smoothness=train.LOSS_VOL_STAB_REG_ALPHA,
        silence_exponent=train.LOSS_VOL_STAB_REG_EXP,
        phoneme=train.LOSS_PHONEME_ALPHA,
        phoneme_silence=train.LOSS_PHONEME_SIL_WEIGHT,
        phoneme_velocity=train.LOSS_PHONEME_MOTION_ALPHA,
        reference_phoneme_velocity=train.REFERENCE_PHONEME_MOTION,
        eye_threshold=train.EYE_DIST_THRESHOLD if train.REMOVE_CLOSING_EYE else None,
        lip_position=train.LOSS_LIP_POSITION_ALPHA,
    )


def skin_geometry(source: ActorSource, train: TrainRegression) -> SkinGeometry:
    """The geometry that the losses use; warns of losses whose vertex lists the actor lacks."""
    lips, size, lids = source.raw.lip_dist, source.raw.lip_size, source.raw.eye_dist
    needs = (
        ("LOSS_LIP_DIST_ALPHA", lips, "SKIN_LIP_DIST_VERTEX_LIST_FPATH"),
        ("LOSS_LIP_POSITION_ALPHA", lips, "SKIN_LIP_DIST_VERTEX_LIST_FPATH"),
        ("LOSS_LIP_SIZE_ALPHA", size, "SKIN_LIP_SIZE_VERTEX_LIST_FPATH"),
        ("REMOVE_CLOSING_EYE", lids, "SKIN_EYE_DIST_VERTEX_LIST_FPATH"),
    )
    warn_of_missing_lists(source, train, needs)
    pairs = [lips, None if size is None else size.upper_lip, None if size is None else size.lower_lip, lids]
    lip_pairs, upper, lower, lid_pairs = (
        None if pair is None else torch.from_numpy(np.stack([pair.upper, pair.lower])) for pair in pairs
    )
    return SkinGeometry(
        torch.from_numpy(source.skin.mean),
        torch.from_numpy(source.skin.matrix),
        lips=lip_pairs,
        upper_lip=upper,
        lower_lip=lower,
        lids=lid_pairs,
        metric=None if source.skin_metric is None else torch.from_numpy(source.skin_metric),
    )


VALIDATION_BATCH_FRAMES = 64


class RegressionValidation:
    """Predicts the clips of the validation set, and compares them with ground truth.

    Args:
        network: in evaluation mode during `run`.
        source: the actor.
        device: device of the network.
    """

    def __init__(self, network: RegressionNetwork, source: ActorSource, device: torch.device) -> None:
        self._network, self._source = network, source
        self.scores = FaceScores()  # of the last call of `run`
        components = source.skin.matrix.reshape(len(source.skin.matrix), -1)
        self._components = torch.from_numpy(np.ascontiguousarray(components, np.float32)).to(device)
        lips = source.raw.lip_dist
        self.lips = None if lips is None else np.stack([lips.upper, lips.lower])

    def run(self, loader: SequenceLoader, specs: tuple[SequenceBatchSpec, ...], implicit: Tensor) -> dict[str, float]:
        """The metrics of `FaceScores`; empty without validation clips.

        Args:
            loader: loads the validation clips.
            specs: batches of their frames in order.
            implicit: the implicit emotion that drives the network, `[length]`.
        """
        self.scores = FaceScores()
        for spec in specs:
            batch = loader.load(spec).to(self._components.device)
            emotion = torch.cat([implicit.expand(len(batch.emotion), -1), batch.emotion], dim=-1)[:, None]
            predicted = self._network(batch.audio, emotion, hidden=batch.hidden_layers()).values.float()
            self.scores.add(int(spec.clips[0]), self._skin(predicted), self._skin(batch.values), self.lips)
        return self.scores.metrics()

    def held_out_frame(self) -> HeldOutFrame | None:
        """A frame of the first clip, from the last call of `run`."""
        source = self._source
        if self.scores.sample is None or source.raw.skin_faces is None:
            return None
        mean = np.asarray(source.skin.mean, np.float32)
        predicted, true = (mean + side for side in self.scores.sample)
        return HeldOutFrame(
            actor=source.actor, faces=source.raw.skin_faces, neutral=mean, predicted=predicted, true=true
        )

    def _skin(self, values: Tensor) -> Tensor:
        """The deltas from the mean pose `[frames, verts, 3]` of coefficients `[frames, 1, channels]`."""
        deltas: Tensor = values[:, 0, : len(self._components)] @ self._components
        return deltas.reshape(len(values), -1, 3)


_NETWORK = "network."  # prefix of the network's weights in a run


def open_task(configuration: Configuration, fabric: Fabric, state: ResumeMetadata | None) -> RegressionTask:
    """Opens data and network of a configuration.

    Args:
        configuration: for stage "train" and network type "regression".
        fabric: device and processes.
        state: metadata of a resumed run; None for a new one.

    Raises:
        UserError: data, speech encoder or weights to start from are missing or do not fit.
    """
    train, inference = (
        configuration.section("train", TrainRegression),
        configuration.section("inference", InferenceRegression),
    )
    runs = None if state is None else state.preproc_runs
    data = TrainingData.open(configuration.dataset, train, runs, sequence_frames=train.SEQ_LEN)
    data = with_pseudo_labels(data, configuration, fabric, state)
    check_source(
        inference.CONFIG,
        data.shots,
        (*data.training_clips, *data.validation_clips),
        compact=train.COMPACTIFY_IMPLICIT_EMO_DB,
    )
    encoder = None
    if train.NETWORK_HYPER_PARAMS["use_w2v_features"]:
        sizes = train.NETWORK_HYPER_PARAMS
        changes = {"num_layers": sizes["w2v_num_layers"], "fine_tune": not sizes["w2v_freeze"]}
        encoder = open_encoder(train, state, changes)
    phonemes = phoneme_tables(data.training_clips, configuration.dataset, train, fabric) if encoder else None
    metadata = run_records("regression", data, configuration)
    task = RegressionTask(train, inference, data, encoder, phonemes, fabric, metadata)
    if train.PRETRAINED_NET_FPATH is not None and (state is None or not state.has_weights):
        languages = () if phonemes is None else phonemes.languages
        load_pretrained_regression(task.network.network, train.PRETRAINED_NET_FPATH, languages)
    return task


def load_network(run: TrainingRun) -> RegressionNetwork:
    """The trained network of a finished run, on the CPU in evaluation mode; needs neither data nor hub.

    Raises:
        UserError: the run holds another kind of network, or files of it are damaged.
    """
    recorded = run.network
    encoder = None if recorded["encoder"] is None else encoders.rebuild_encoder(recorded["encoder"], run.path)
    network = RegressionNetwork(RegressionSettings.from_dict(recorded["settings"]), encoder)
    weights = run.weights().items()
    network.load_state_dict({name.removeprefix(_NETWORK): w for name, w in weights if name.startswith(_NETWORK)})
    return network.eval()


class RegressionTask:
    """The `Task` of a regression network.

    Args:
        train: training section.
        inference: inference section, with the implicit emotion of validation.
        data: all clips.
        encoder: the speech encoder with its pretrained weights; None for a network without speech features.
        phonemes: phonemes of the training clips; None without phoneme losses.
        fabric: device and processes.
        metadata: `Task.metadata_files`.
    """

    reference_sums_items = False

    def __init__(
        self,
        train: TrainRegression,
        inference: InferenceRegression,
        data: TrainingData,
        encoder: SpeechEncoder | None,
        phonemes: PhonemeTables | None,
        fabric: Fabric,
        metadata: dict[str, Any],
    ) -> None:
        source = data.sources[0]
        self.actor = source.actor
        self._train, self._data, self._fabric, self._metadata = train, data, fabric, metadata
        self._source_row = (inference.CONFIG["source_shot"], inference.CONFIG["source_frame"])
        self._settings = network_settings(train, data, encoder, phonemes)
        network = RegressionNetwork(self._settings, encoder)
        length = self._settings.implicit_emotion_len
        rows = num_rows((*data.shots, *(clip.shot for clip in data.pseudo_labelled_clips)))
        self.network = RegressionTrainingModule(network, ImplicitEmotions(rows, length, train.EMO_INIT_SIGMA)).to(
            fabric.device
        )
        self.generators = {"gains": torch.Generator().manual_seed(train.RNG_SEED_TORCH + fabric.global_rank)}
        network.set_noise_generator(self.generators["gains"])
        self._loss_fn = RegressionLoss(
            self._settings.sizes,
            loss_weights(train),
            skin_geometry(source, train),
            {} if phonemes is None else {name: (len(own), own.silence) for name, own in phonemes.phones.items()},
            all_reduce_mean if fabric.world_size > 1 else None,
        ).to(fabric.device)
        self._caches_features = network.encoder is not None and caches_features(train, network.encoder_is_trainable)
        width = train.AUGMENT["timeshift"]
        shifts = TimeShiftGrid(width, (train.SPEECH_FEATURE_SHIFTS if width else 1) if self._caches_features else None)
        self._loader, self._sampler = data.sequences(
            train,
            shifts,
            batch_size=train.BATCH_SIZE * fabric.world_size,
            rank=fabric.global_rank,
            world_size=fabric.world_size,
        )
        tables = None if phonemes is None else phonemes.with_unknown_clips(len(data.pseudo_labelled_clips))
        self._loader = dataclasses.replace(self._loader, phonemes=tables)
        self.num_batches = self._sampler.batches_per_epoch
        self.items_per_batch = train.BATCH_SIZE
        self._validation_loader, self._validation_specs = data.validation_sequences(train, VALIDATION_BATCH_FRAMES)
        self._validation = RegressionValidation(network, source, fabric.device)
        self.best_metric = LIP_ERROR if self._validation.lips is not None else SKIN_ERROR
        if data.emotions.is_inert:
            LOGGER.info("no emotion besides the zero one: the network gets an inert one, which consumers need")

    def parameter_groups(self) -> list[ParameterGroup]:
        """All weights except the frozen ones of the speech encoder, and the implicit emotions with their own rate."""
        network = [weight for weight in self.network.network.parameters() if weight.requires_grad]
        return [
            ParameterGroup(network),
            ParameterGroup(list(self.network.emotions.parameters()), self._train.EMO_LR_MULT),
        ]

    def learning_rate(self, epoch: int) -> float:
        """LEARNING_RATE with exponential decay: times LR_STEP_GAMMA after every epoch."""
        rate: float = self._train.LEARNING_RATE * self._train.LR_STEP_GAMMA**epoch
        return rate

    def batches(self, epoch: int, first_batch: int) -> Generator[SequenceBatch, None, None]:
        """Sequences that the sampler draws, loaded in the background."""
        if self._caches_features and self._loader.features is None:
            shifts, fabric = self._sampler.shifts.grid, self._fabric
            features = self._feature_cache().prepare(
                self._loader.windows, shifts, fabric.global_rank, fabric.world_size
            )
            self._loader = dataclasses.replace(self._loader, features=features)
        yield from self._loader.batches(self._sampler.epoch(epoch, first_batch))

    def losses(self, network: Callable[..., Any], batch: SequenceBatch) -> Mapping[str, Tensor]:
        """Predicts a batch, and computes the losses."""
        batch = batch.to(self._fabric.device)
        output = RegressionOutput(
            *network(batch.audio, batch.frames, batch.emotion, batch.norm_factor, batch.hidden_layers())
        )
        progress = batch.spec.position / (self.num_batches * self._train.NUM_EPOCHS)
        losses = self._loss_fn(
            output,
            batch.values,
            batch.audio,
            1 - progress,
            valid=channel_mask(batch.valid, self._settings.sizes, self._fabric.device),
            lip_distance_weights=batch.lip_distance_weights,
            lip_size_weights=batch.lip_size_weights,
            phonemes=batch.phoneme_targets(self._settings.phonemes),
            items=len(batch.sample_ids),
        )
        groups = self._losses_by_group(output, batch)
        return {"total": losses.total, **losses.terms, **groups}

    def _losses_by_group(self, output: RegressionOutput, batch: SequenceBatch) -> Mapping[str, Tensor]:
        """The terms of the items of each group; without gradient. Empty in a training of recorded ones alone."""
        found: dict[str, Tensor] = {}
        for label, items in group_ranges(batch.spec.groups).items():
            terms = self._loss_fn.face_terms(
                output,
                batch.values,
                batch.audio,
                items,
                valid=channel_mask(batch.valid, self._settings.sizes, self._fabric.device),
                lip_distance_weights=batch.lip_distance_weights,
                lip_size_weights=batch.lip_size_weights,
            )
            found |= {f"{label}/{name}": value for name, value in terms.items()}
        return found

    def finish_gradients(self) -> None:
        """Does nothing: gradients are complete."""

    def commit_step(self) -> None:
        """Keeps the updates of the running loss scales since the last step."""
        self._loss_fn.commit()

    def discard_step(self) -> None:
        """Reverts the updates of the running loss scales since the last step."""
        self._loss_fn.discard()

    def validate(self) -> dict[str, float]:
        """The metrics of `RegressionValidation`; caches the speech features of the validation set at the first call."""
        if not self._validation_specs:
            return {}
        if self._caches_features and self._validation_loader.features is None:
            features = self._feature_cache().prepare(self._validation_loader.windows, np.zeros(1))
            self._validation_loader = dataclasses.replace(self._validation_loader, features=features)
        database = self._database()
        row = database.find(*database.source(*self._source_row))
        assert row is not None  # checked by `check_source`
        implicit = torch.from_numpy(row).to(self._fabric.device)
        return self._validation.run(self._validation_loader, self._validation_specs, implicit)

    def validated_clips(self) -> ValidatedClips:
        """The lip metrics of each clip, at its own rate."""
        return ValidatedClips(self._data, None, self._validation.scores.lip_scores())

    def held_out_frame(self) -> HeldOutFrame | None:
        """The frame of `RegressionValidation`."""
        return self._validation.held_out_frame()

    def state(self) -> dict[str, Any]:
        """The fingerprint of the sampler, and the running loss scales."""
        scales = {name: value.item() for name, value in self._loss_fn.state_dict().items()}
        return {"sampler": self._sampler.fingerprint, "scales": scales}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Makes sure that the data are those of the checkpoint, and restores the running loss scales."""
        check_same_data(state.get("sampler"), self._sampler.fingerprint)
        self._loss_fn.load_state_dict({name: torch.tensor(value) for name, value in state["scales"].items()})

    def network_config(self) -> dict[str, Any]:
        """Everything that `load_network` needs beside weights."""
        encoder = self.network.network.encoder
        return {
            "network_type": "regression",
            "network_name": self._train.NETWORK_NAME,
            "settings": dataclasses.asdict(self._settings),
            "actors": [self.actor],
            "emotions": list(self._data.emotions.names),
            "encoder": None if encoder is None else encoders.encoder_record(encoder),
        }

    def metadata_files(self) -> dict[str, Any]:
        """Sizes and settings in the files that other tools expect, and the provenance of the data."""
        return self._metadata

    def export(self, folder: Path) -> None:
        """Writes the table of implicit emotions."""
        write_npz(folder / DEPLOY_FOLDER / EMOTION_DATABASE_FILE, self._database().as_arrays())

    def _feature_cache(self) -> FeatureCache:
        network = self.network.network
        assert network.encoder is not None
        return FeatureCache(
            self._train.SPEECH_FEATURES_ROOT, network.encoder, network.extract_hidden_states, self._fabric.device
        )

    def _database(self) -> EmotionDatabase:
        data = self._data
        return emotion_database(
            self.network.emotions.rows.detach().cpu().numpy(),
            data.shots,
            (*data.training_clips, *data.validation_clips),
            data.training_clips,
            compact=self._train.COMPACTIFY_IMPLICIT_EMO_DB,
        )
