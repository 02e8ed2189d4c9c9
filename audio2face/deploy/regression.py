"""Deployment of regression networks: plan and graph of the export, arrays and README (`DeployModule`)."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from audio2face.audio import read_track
from audio2face.config import InferenceRegression, TrainRegression
from audio2face.dataset.shots import EmotionVectors, list_recordings
from audio2face.deploy.parity import ExportableGraph, Inputs, ParityChannel, ParityCheck, ParityLimit
from audio2face.deploy.plan import check_sizes, trained_components
from audio2face.model_folder import AnimationConfig, RegressionInfo
from audio2face.models.regression.network import ExportedRegression, RegressionNetwork
from audio2face.preproc.artifacts import PreprocArtifacts
from audio2face.training.inference.regression import regression_info
from audio2face.training.run_folder import Origin, TrainingRun
from audio2face.training.split_record import read_test_shots
from audio2face.types import Float32Array

PARITY_LIMIT_SHARE = 1e-5
PARITY_BATCHES = (1, 3, 8)
PARITY_ROUNDS = 3  # batches of noise of each size
PARITY_SPEECH_WINDOWS = 24


@dataclass(frozen=True, kw_only=True)
class RegressionPlan:
    """Settings of an exported network.

    Attributes:
        info: the network's record in the deployed folder.
        has_emotions: False if its only emotion is a placeholder: the data have none, and the SDK requires one.
        recording: speech for the parity check, in addition to noise; None without one.
    """

    info: RegressionInfo
    has_emotions: bool
    recording: Path | None = None

    @property
    def sampling(self) -> None:
        """None: the graph has no denoising steps."""

    def exportable(self, network: RegressionNetwork) -> ExportableGraph:
        """The network without the parts that only training needs.

        The column of a placeholder emotion was never trained; it is set to zero, so that it has no effect.
        """
        frozen = copy.deepcopy(network).to(device="cpu", dtype=torch.float32).requires_grad_(False)
        if not self.has_emotions:
            frozen.explicit_emotion.weight.zero_()
        module, info = ExportedRegression(frozen), self.info
        inputs = partial(example_inputs, info)
        return ExportableGraph(module, info, inputs, make_parity_check(info, inputs, self.recording))


def make_plan(
    run: TrainingRun, network: RegressionNetwork, train: TrainRegression, inference: InferenceRegression
) -> RegressionPlan:
    """Makes the plan from a configuration.

    Args:
        run: the training run; its dataset names actor, emotions and recordings.
        network: the network.
        train: window and version.
        inference: not used by the graph.

    Raises:
        UserError: settings, network and emotions do not match.
    """
    dataset = run.configuration.dataset
    info = regression_info(run, dataset, train, network.settings)
    emotions = EmotionVectors.from_vocabulary(dataset.SHOT_EMOTION_NAMES, train.SHOT_EMOTION_NAME_FOR_ALL_ZEROS)
    return RegressionPlan(info=info, has_emotions=not emotions.is_inert, recording=_first_recording(run, info.actor))


def _first_recording(run: TrainingRun, actor: str) -> Path | None:
    """A recording outside of the test set; None if the dataset is not available at the time of the export."""
    folder = run.configuration.dataset.AUDIO_ROOT.get(actor)
    recordings = {} if folder is None else list_recordings(folder)
    split = read_test_shots(run.path, run.configuration.roots)
    test = {shot.shot for shot in split.test} if split else set()
    return min((paths[0] for shot, paths in recordings.items() if shot not in test), default=None)


def sampler_settings(train: TrainRegression, inference: InferenceRegression) -> None:
    """None: the graph has no denoising steps."""


def make_parity_check(
    info: RegressionInfo,
    inputs: Inputs,
    recording: Path | None = None,
    batches: tuple[int, ...] = PARITY_BATCHES,
) -> ParityCheck:
    """The parity check of graph and network: relative to the output's range, on noise and on speech.

    Args:
        info: names and sizes of inputs and outputs.
        inputs: makes inputs of noise.
        recording: speech for the check, in addition to noise.
        batches: batch sizes of the check.

    Raises:
        UserError: the recording cannot be read.
    """
    speech = np.empty((0, info.buffer_len), np.float32) if recording is None else _speech_windows(recording, info)
    return ParityCheck(
        channels=(
            ParityChannel("skin", info.num_shapes_skin),
            ParityChannel("tongue", info.num_shapes_tongue),
            ParityChannel("jaw", info.jaw_size, "cm"),
            ParityChannel("eyes", info.eyes_size, "degrees"),
        ),
        limit=ParityLimit(PARITY_LIMIT_SHARE, "share"),
        batches=batches,
        feeds=partial(_noise_and_speech, inputs, speech),
        windows={"noise_windows": PARITY_ROUNDS * sum(batches), "speech_windows": len(speech) * len(batches)},
    )


def _speech_windows(recording: Path, info: RegressionInfo) -> Float32Array:
    """Evenly spaced windows of a recording, `[windows, samples]`."""
    track = read_track(recording, info.samplerate, resampler=info.resampler)
    starts = np.linspace(-info.buffer_ofs, len(track.data) - info.buffer_ofs, PARITY_SPEECH_WINDOWS).astype(int)
    return np.stack([track.read(start, start + info.buffer_len) for start in starts.tolist()])


def _noise_and_speech(
    inputs: Inputs, speech: Float32Array, batch: int, generator: torch.Generator
) -> Iterator[Mapping[str, Tensor]]:
    """Inputs of the graph: noise, then speech, in batches."""
    for _ in range(PARITY_ROUNDS):
        yield inputs(batch, generator)
    for first in range(0, len(speech), batch):
        window = torch.from_numpy(speech[first : first + batch, None])
        yield {"input": window, "emotion": inputs(len(window), generator)["emotion"]}


def example_inputs(info: RegressionInfo, batch: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Typical inputs by name: audio at the level of speech, emotions of the usual magnitude."""
    implicit = torch.randn(batch, 1, info.implicit_emotion_len, generator=generator)
    explicit = torch.rand(batch, 1, len(info.emotions), generator=generator)
    return {
        "input": 0.1 * torch.randn(batch, 1, info.buffer_len, generator=generator),
        "emotion": torch.cat([implicit, explicit], dim=-1),
    }


def checked_arrays(
    run: TrainingRun,
    info: RegressionInfo,
    actor: str,
    source: PreprocArtifacts,
    origin: Origin,
    arrays: Mapping[str, Float32Array],
) -> Mapping[str, Float32Array]:
    """The arrays with the components that training read from separate files; all sizes are checked.

    Raises:
        UserError: an array has another size.
    """
    named = {**arrays, **trained_components(origin)}
    check_sizes(info, source, named)
    return named


def describe(info: RegressionInfo, config: AnimationConfig) -> list[str]:
    """Lines of the README about input and output of the network."""
    return [
        f"- {info.num_shapes_skin} components of skin and {info.num_shapes_tongue} of tongue; the network outputs "
        "their coefficients",
        f"- Any frame rate; the input of each frame is {info.buffer_len / info.samplerate:g} s at "
        f"{info.samplerate:,} Hz, with the frame at {info.buffer_ofs / info.samplerate:g} s",
        f"- Implicit emotion: that of frame {config.source_frame} of shot {config.source_shot} (source_shot and "
        "source_frame)",
        f"- Gain of the audio: {config.parameters['input_strength']:g} (input_strength)",
    ]
