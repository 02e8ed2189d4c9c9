"""Export of the network, and the facts of its deployed folder."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from audio2face.dataset.shots import EmotionVectors
from audio2face.deploy.parity import ExportableGraph, ParityChannel, ParityCheck, ParityLimit
from audio2face.deploy.plan import check_sizes
from audio2face.model_folder import AnimationConfig
from audio2face.preproc.artifacts import PreprocArtifacts
from audio2face.training.inference.trained_run import deployed_resampler
from audio2face.training.run_folder import Origin, TrainingRun
from audio2face.types import Float32Array
from loudness.runtime import LoudnessInfo
from loudness.training import LoudnessNetwork


@dataclass(frozen=True)
class LoudnessPlan:
    """An `ExportPlan`."""

    info: LoudnessInfo
    has_emotions: bool = True
    sampling: None = None

    def exportable(self, network: LoudnessNetwork) -> ExportableGraph:
        names, sizes = ("skin", "tongue", "jaw", "eyes"), self.info.channel_sizes
        check = ParityCheck(
            channels=tuple(ParityChannel(name, size) for name, size in zip(names, sizes, strict=True)),
            limit=ParityLimit(1e-5, "share"),
            batches=(1, 3),
            feeds=self._feeds,
            windows={"noise_windows": 4},
        )
        return ExportableGraph(copy.deepcopy(network).cpu().eval(), self.info, self._inputs, check)

    def _inputs(self, batch: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        return {"window": 0.1 * torch.randn(batch, self.info.buffer_len, generator=generator)}

    def _feeds(self, batch: int, generator: torch.Generator) -> Iterator[Mapping[str, Tensor]]:
        yield self._inputs(batch, generator)


def make_plan(run: TrainingRun, network: LoudnessNetwork, train: Any, inference: Any) -> LoudnessPlan:
    """A `DeployModule` function."""
    dataset = run.configuration.dataset
    emotions = EmotionVectors.from_vocabulary(dataset.SHOT_EMOTION_NAMES, train.SHOT_EMOTION_NAME_FOR_ALL_ZEROS)
    info = LoudnessInfo(
        actor=dataset.ACTOR_NAMES[0],
        version=train.NETWORK_VERSION,
        emotions=emotions.names,
        default_emotion=tuple(emotions.vector(train.DEFAULT_SHOT_EMOTION_NAME).tolist()),
        identities=dataset.ACTOR_NAMES,
        **run.network["settings"],
        resampler=deployed_resampler(train.AUDIO_PREPROC_METHOD, train.AUDIO_RESAMPLER),
        **train.AUDIO_PARAMS,
    )
    return LoudnessPlan(info)


def sampler_settings(train: Any, inference: Any) -> None:
    """A `DeployModule` function: the graph has no sampling."""


def checked_arrays(
    run: TrainingRun,
    info: LoudnessInfo,
    actor: str,
    source: PreprocArtifacts,
    origin: Origin,
    arrays: Mapping[str, Float32Array],
) -> Mapping[str, Float32Array]:
    """A `DeployModule` function."""
    check_sizes(info, source, arrays)
    return arrays


def describe(info: LoudnessInfo, config: AnimationConfig) -> list[str]:
    """A `DeployModule` function."""
    return [f"- The face follows the loudness of {info.buffer_len / info.samplerate:g} s of audio"]
