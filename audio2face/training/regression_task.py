"""The task of the regression network: sequences of frames of one actor's clips."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audio2face.config import Configuration, InferenceRegression, TrainRegression
from audio2face.console import LOGGER
from audio2face.files import write_npz
from audio2face.model_folder.emotion_database import EMOTION_DATABASE_FILE, EmotionDatabase
from audio2face.networks import encoders
from audio2face.networks.encoders import SpeechEncoder
from audio2face.networks.implicit_emotions import ImplicitEmotions, RegressionLearner
from audio2face.networks.learning_rates import regression_learning_rate
from audio2face.networks.phoneme_losses import PhonemeTargets
from audio2face.networks.regression import RegressionNetwork, RegressionOutput, RegressionSettings
from audio2face.networks.regression_objective import RegressionBatch, RegressionObjective
from audio2face.training.batches import value_mask
from audio2face.training.data import TrainingData
from audio2face.training.dealing import check_same_data
from audio2face.training.emotion_rows import check_source, emotion_database, num_rows
from audio2face.training.engine import process_mean
from audio2face.training.face_scores import LIP_ERROR, SKIN_ERROR
from audio2face.training.facts import run_records
from audio2face.training.phoneme_tables import PhonemeTables, phoneme_tables
from audio2face.training.pretrained import load_pretrained_regression
from audio2face.training.regression_setup import emotion_weights, loss_weights, network_settings, skin_shapes
from audio2face.training.regression_validation import FRAMES_AT_ONCE, RegressionValidation
from audio2face.training.sequence_batches import SequenceBatch
from audio2face.training.sequences import Shifts
from audio2face.training.speech import open_encoder
from audio2face.training.speech_features import FeatureStore
from audio2face.training.task import Begun, ParameterGroup, Place
from audio2face.training.training_run import TrainingRun

DEPLOY_FOLDER = "deploy"  # of a run: what consumers of the model read
_NETWORK = "network."  # what the names of the network's weights begin with in a run


def open_task(configuration: Configuration, place: Place, begun: Begun | None) -> RegressionTask:
    """Opens data and network of a configuration.

    Args:
        configuration: for stage "train" and network type "regression".
        place: where this process stands.
        begun: what a run that is gone on with recorded; None for a new one.

    Raises:
        UserError: data, speech encoder or weights to start from are missing or do not fit.
    """
    train, inference = configuration.train, configuration.inference
    assert isinstance(train, TrainRegression)
    assert isinstance(inference, InferenceRegression)
    data = TrainingData.open(configuration.dataset, train, None if begun is None else begun.preproc_runs)
    check_source(
        inference.CONFIG,
        data.shots,
        (*data.training_clips, *data.validation_clips),
        compact=train.COMPACTIFY_IMPLICIT_EMO_DB,
    )
    encoder = None
    if train.NETWORK_HYPER_PARAMS["use_w2v_features"]:
        sizes = train.NETWORK_HYPER_PARAMS
        wishes = {"num_layers": sizes["w2v_num_layers"], "fine_tune": not sizes["w2v_freeze"]}
        encoder = open_encoder(train, begun, wishes)
    phonemes = phoneme_tables(data.training_clips, configuration.dataset, train, place) if encoder else None
    records = run_records("regression", data, configuration)
    task = RegressionTask(train, inference, data, encoder, phonemes, place, records)
    if train.PRETRAINED_NET_FPATH is not None and (begun is None or not begun.has_weights):
        languages = () if phonemes is None else phonemes.languages
        load_pretrained_regression(task.network.network, train.PRETRAINED_NET_FPATH, languages)
    return task


def load_network(run: TrainingRun) -> RegressionNetwork:
    """The trained network of a finished run, on the CPU in evaluation mode; needs neither data nor hub.

    Raises:
        UserError: the run holds another kind of network, or files of it are damaged.
    """
    recorded = run.network
    encoder = None if recorded["encoder"] is None else encoders.rebuild(recorded["encoder"], run.path)
    network = RegressionNetwork(RegressionSettings.restored(recorded["settings"]), encoder)
    weights = run.weights().items()
    network.load_state_dict({name.removeprefix(_NETWORK): w for name, w in weights if name.startswith(_NETWORK)})
    return network.eval()


class RegressionTask:
    """See `Task`.

    Args:
        train: settings.
        inference: which implicit emotion drives the network in validation.
        data: all clips.
        encoder: the speech encoder with its pretrained weights; None where speech features are not heard.
        phonemes: of the clips that are learnt from; None where they are not learnt.
        place: where this process stands.
        records: see `Task.records`.
    """

    def __init__(
        self,
        train: TrainRegression,
        inference: InferenceRegression,
        data: TrainingData,
        encoder: SpeechEncoder | None,
        phonemes: PhonemeTables | None,
        place: Place,
        records: dict[str, Any],
    ) -> None:
        source = data.sources[0]
        self.actor = source.actor
        self._train, self._data, self._place, self._records = train, data, place, records
        self._source_row = (inference.CONFIG["source_shot"], inference.CONFIG["source_frame"])
        self._phonemes = phonemes
        self._settings = network_settings(train, data, encoder, phonemes)
        network = RegressionNetwork(self._settings, encoder)
        length = self._settings.implicit_emotion_len
        self.network = RegressionLearner(
            network, ImplicitEmotions(num_rows(data.shots), length, train.EMO_INIT_SIGMA)
        ).to(place.device)
        self.generators = {"gains": torch.Generator().manual_seed(train.RNG_SEED_TORCH + place.rank)}
        network.use_generator(self.generators["gains"])
        self._objective = RegressionObjective(
            self._settings.sizes,
            loss_weights(train),
            skin_shapes(source, train),
            {} if phonemes is None else {name: (len(own), own.silence) for name, own in phonemes.phones.items()},
            process_mean if place.world_size > 1 else None,
        ).to(place.device)
        self._hears_once = _hears_once(train, network)
        width = train.AUGMENT["timeshift"]
        shifts = Shifts(width, (train.SPEECH_FEATURE_SHIFTS if width else 1) if self._hears_once else None)
        self._loader, self._sampler = data.sequences(
            train,
            shifts,
            batch_size=train.BATCH_SIZE * place.world_size,
            rank=place.rank,
            world_size=place.world_size,
        )
        self._loader = dataclasses.replace(self._loader, phonemes=phonemes)
        self.num_batches = self._sampler.batches_per_epoch
        self.items_per_batch = train.BATCH_SIZE
        self._held_out, self._held_out_plans = data.validation_sequences(train, FRAMES_AT_ONCE)
        self._validation = RegressionValidation(network, source).to(place.device)
        self.best_metric = LIP_ERROR if self._validation.lips is not None else SKIN_ERROR
        self._lip_weights = [
            emotion_weights(table, data.training_clips)
            for table in (train.LOSS_LIP_DIST_EMO_WEIGHTS, train.LOSS_LIP_SIZE_EMO_WEIGHTS)
        ]
        if data.emotions.is_inert:
            LOGGER.info("no emotion besides the zero one: the network gets one that does nothing, which consumers need")

    def parameter_groups(self) -> list[ParameterGroup]:
        """All weights but the frozen ones of the speech encoder, and the implicit emotions."""
        network = [weight for weight in self.network.network.parameters() if weight.requires_grad]
        return [
            ParameterGroup(network),
            ParameterGroup(list(self.network.emotions.parameters()), self._train.EMO_LR_MULT),
        ]

    def learning_rate(self, epoch: int) -> float:
        """See `regression_learning_rate`."""
        return regression_learning_rate(epoch, self._train.LEARNING_RATE, self._train.LR_STEP_GAMMA)

    def batches(self, epoch: int, first_batch: int) -> Generator[SequenceBatch, None, None]:
        """Sequences drawn for their position, loaded in the background."""
        if self._hears_once and self._loader.features is None:
            shifts, place = self._sampler.shifts.grid, self._place
            features = self._store().prepare(self._loader.windows, shifts, place.rank, place.world_size)
            self._loader = dataclasses.replace(self._loader, features=features)
        yield from self._loader.batches(self._sampler.epoch(epoch, first_batch))

    def losses(self, network: Callable[..., Any], batch: SequenceBatch) -> Mapping[str, Tensor]:
        """Predicts a batch, and compares."""
        device = self._place.device
        known, phonemes = value_mask(batch.known, self._settings.sizes, device), self._phonemes_of(batch)
        distance, size = (None if table is None else table[batch.clips].to(device) for table in self._lip_weights)
        batch = batch.to(device)
        values, logits, implicit = network(
            batch.audio, batch.frames, batch.emotion, batch.norm_factor, batch.hidden_layers()
        )
        learnt = RegressionBatch(
            target=batch.values,
            audio=batch.audio,
            implicit=implicit,
            known=known,
            lip_distance_weights=distance,
            lip_size_weights=size,
            phonemes=phonemes,
            items=len(batch.names),
        )
        done = batch.plan.position / (self.num_batches * self._train.NUM_EPOCHS)
        losses = self._objective(RegressionOutput(values, logits), learnt, 1 - done)
        return {"total": losses.total, **losses.terms}

    def commit_step(self) -> None:
        """Keeps what running sizes of losses took in."""
        self._objective.commit()

    def discard_step(self) -> None:
        """Forgets what running sizes of losses took in since the last step."""
        self._objective.discard()

    def validate(self) -> dict[str, float]:
        """Predicts the held-out clips, see `RegressionValidation`."""
        if not self._held_out_plans:
            return {}
        if self._hears_once and self._held_out.features is None:
            features = self._store().prepare(self._held_out.windows, np.zeros(1))
            self._held_out = dataclasses.replace(self._held_out, features=features)
        database = self._database()
        row = database.find(*database.source(*self._source_row))
        assert row is not None  # `check_source` made sure
        implicit = torch.from_numpy(row).to(self._place.device)
        return self._validation.run(self._held_out, self._held_out_plans, implicit)

    def state(self) -> dict[str, Any]:
        """What positions in the data mean, and how large the losses of steps have been lately."""
        scales = {name: value.item() for name, value in self._objective.state_dict().items()}
        return {"sampler": self._sampler.facts, "scales": scales}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Goes on from there, once it is sure that positions mean the same."""
        check_same_data(state.get("sampler"), self._sampler.facts)
        self._objective.load_state_dict({name: torch.tensor(value) for name, value in state["scales"].items()})

    def describe(self) -> dict[str, Any]:
        """All that `load_network` needs beside weights."""
        encoder = self.network.network.encoder
        return {
            "network_type": "regression",
            "network_name": self._train.NETWORK_NAME,
            "settings": dataclasses.asdict(self._settings),
            "actors": [self.actor],
            "emotions": list(self._data.emotions.names),
            "encoder": None if encoder is None else encoders.record(encoder),
        }

    def records(self) -> dict[str, Any]:
        """Sizes and settings as other tools of the framework expect them, and the data's origins."""
        return self._records

    def export(self, folder: Path) -> None:
        """Writes the table of implicit emotions."""
        write_npz(folder / DEPLOY_FOLDER / EMOTION_DATABASE_FILE, self._database().as_arrays())

    def _store(self) -> FeatureStore:
        network = self.network.network
        assert network.encoder is not None
        return FeatureStore(self._train.SPEECH_FEATURES_ROOT, network.encoder, network.hear, self._place.device)

    def _phonemes_of(self, batch: SequenceBatch) -> dict[str, PhonemeTargets]:
        """By language, what is said by the items that speak it."""
        if self._phonemes is None or batch.phonemes is None or batch.languages is None:
            return {}
        targets = {}
        for number, (language, phones) in enumerate(self._phonemes.phones.items()):
            items = torch.from_numpy(np.flatnonzero(batch.languages == number))
            if len(items):
                spoken = batch.phonemes[items][..., : len(phones)]
                targets[language] = PhonemeTargets(items.to(self._place.device), spoken.to(self._place.device))
        return targets

    def _database(self) -> EmotionDatabase:
        data = self._data
        return emotion_database(
            self.network.emotions.rows.detach().cpu().numpy(),
            data.shots,
            (*data.training_clips, *data.validation_clips),
            data.training_clips,
            compact=self._train.COMPACTIFY_IMPLICIT_EMO_DB,
        )


def _hears_once(train: TrainRegression, network: RegressionNetwork) -> bool:
    """Whether the speech encoder hears every window once, before training."""
    if network.encoder is None or train.SPEECH_FEATURES == "exact":
        return False
    if network.trains_encoder:
        LOGGER.info("the speech encoder is trained itself: it hears anew at every step (SPEECH_FEATURES has no effect)")
        return False
    return True
