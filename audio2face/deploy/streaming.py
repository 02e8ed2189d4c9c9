"""Deployment of streaming networks: plan and graph of the export, arrays and README (`DeployModule`)."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from audio2face.config import InferenceStreaming, TrainStreaming
from audio2face.dataset.shots import EmotionVectors
from audio2face.deploy.parity import ExportableGraph, Inputs, ParityChannel, ParityCheck, ParityLimit
from audio2face.deploy.plan import check_sizes, trained_components
from audio2face.io.atomic import write_npz
from audio2face.model_folder import AnimationConfig, StreamingInfo
from audio2face.model_folder.network_info import SEVERAL_ACTORS
from audio2face.model_folder.streaming import CONFORMANCE_FILE
from audio2face.models.streaming.network import ExportedStep, StreamingNetwork
from audio2face.preproc.artifacts import PreprocArtifacts
from audio2face.training.inference.trained_run import deployed_resampler
from audio2face.training.run_folder import INFO_FILE, Origin, TrainingRun, recorded_verts
from audio2face.training.streaming import REACH
from audio2face.types import MM_PER_CM, Float32Array

PARITY_LIMIT_MM = 1e-3
PARITY_BATCHES = (1, 3)
PARITY_STEPS = 1000
CONFORMANCE_STEPS = 90


@dataclass(frozen=True, kw_only=True)
class StreamingPlan:
    """Settings of an exported network.

    Attributes:
        info: the network's record in the deployed folder.
        has_emotions: False if its only emotion is a placeholder: the data have none, and readers need one.
        skin_reach: for blend shapes as the skin's components, how far a vertex moves at most where every coefficient
            changes by 1, mm; None for principal components.
    """

    info: StreamingInfo
    has_emotions: bool
    skin_reach: float | None = None

    @property
    def sampling(self) -> None:
        """None: the graph has no denoising steps."""

    def exportable(self, network: StreamingNetwork) -> ExportableGraph:
        """The network with one frame a step; see `_step`."""
        inputs = partial(example_inputs, self.info)
        check = make_parity_check(self.info, inputs, skin_reach=self.skin_reach)
        return ExportableGraph(self._step(network), self.info, inputs, check)

    def write_extras(self, network: StreamingNetwork, folder: Path) -> None:
        """Writes what a port can check itself against: inputs and results of consecutive steps.

        Args:
            network: the network.
            folder: existing folder for the file.
        """
        step, state = self._step(network), torch.zeros(1, self.info.state_size)
        generator = torch.Generator().manual_seed(0)
        rows: dict[str, list[Tensor]] = {"window": [], "identity": [], "emotion": [], "result": []}
        for feed in _steps_in_a_row(partial(example_inputs, self.info), CONFORMANCE_STEPS, 1, generator):
            with torch.no_grad():
                result, state = step(feed["window"], feed["identity"], feed["emotion"], state)
            for name, rowset in rows.items():
                rowset.append(result[:, 0] if name == "result" else feed[name])
        arrays = {name: torch.cat(values).numpy() for name, values in rows.items()}
        write_npz(folder / CONFORMANCE_FILE, {**arrays, "final_state": state[0].numpy()})

    def _step(self, network: StreamingNetwork) -> ExportedStep:
        """A copy of the network on the CPU, in evaluation mode.

        The column of a placeholder emotion was never trained; it is set to zero, so that it has no effect.
        """
        frozen = copy.deepcopy(network).to(device="cpu", dtype=torch.float32).requires_grad_(False)
        if not self.has_emotions:
            frozen.emotion.weight.zero_()
        return ExportedStep(frozen).eval()


def make_plan(
    run: TrainingRun, network: StreamingNetwork, train: TrainStreaming, inference: InferenceStreaming
) -> StreamingPlan:
    """Makes the plan from a configuration.

    Args:
        run: the training run; its dataset names actors and emotions.
        network: the network.
        train: version and default emotion.
        inference: not used by the graph.

    Raises:
        UserError: the default emotion is unknown, or the record of the run is damaged.
    """
    dataset, settings = run.configuration.dataset, network.settings
    emotions = EmotionVectors.from_vocabulary(dataset.SHOT_EMOTION_NAMES, train.SHOT_EMOTION_NAME_FOR_ALL_ZEROS)
    skin_verts, tongue_verts = recorded_verts(run.path / INFO_FILE)
    actors = dataset.ACTOR_NAMES
    info = StreamingInfo(
        actor=actors[0] if len(actors) == 1 else SEVERAL_ACTORS,
        version=train.NETWORK_VERSION,
        emotions=emotions.names,
        default_emotion=tuple(emotions.vector(train.DEFAULT_SHOT_EMOTION_NAME).tolist()),
        identities=actors,
        num_shapes_skin=settings.skin_size,
        num_shapes_tongue=settings.tongue_size,
        num_verts_skin=skin_verts,
        num_verts_tongue=tongue_verts,
        jaw_size=settings.jaw_size,
        eyes_size=settings.eye_size,
        fps=settings.fps,
        look_ahead_frames=settings.look_ahead_frames,
        state_size=network.state_size,
        resampler=deployed_resampler(train.AUDIO_PREPROC_METHOD, train.AUDIO_RESAMPLER),
    )
    return StreamingPlan(info=info, has_emotions=not emotions.is_inert, skin_reach=run.network.get(REACH))


def sampler_settings(train: TrainStreaming, inference: InferenceStreaming) -> None:
    """None: the graph has no denoising steps."""


def make_parity_check(
    info: StreamingInfo,
    inputs: Inputs,
    batches: tuple[int, ...] = PARITY_BATCHES,
    steps: int = PARITY_STEPS,
    skin_reach: float | None = None,
) -> ParityCheck:
    """The parity check of graph and network: in millimetres, on consecutive steps.

    Principal components are orthonormal, so that no coordinate moves by more than the length of the vector of
    coefficients: the difference of one coefficient times the square root of their number is a bound. For blend shapes
    it is the difference of one weight times the sum of all offsets of the vertex that they move most.

    Args:
        info: names and sizes of inputs and outputs.
        inputs: makes inputs of a first step.
        batches: batch sizes of the check.
        steps: number of consecutive steps, with the state carried over.
        skin_reach: see `StreamingPlan`.
    """
    skin, tongue = (
        MM_PER_CM * float(np.sqrt(max(count, 1))) for count in (info.num_shapes_skin, info.num_shapes_tongue)
    )
    skin = skin if skin_reach is None else skin_reach
    return ParityCheck(
        channels=(
            ParityChannel("skin", info.num_shapes_skin, "mm", skin),
            ParityChannel("tongue", info.num_shapes_tongue, "mm", tongue),
            ParityChannel("jaw", info.jaw_size, "mm", MM_PER_CM),
            ParityChannel("eyes", info.eyes_size, "degrees"),
        ),
        limit=ParityLimit(PARITY_LIMIT_MM, "mm"),
        batches=batches,
        feeds=partial(_steps_in_a_row, inputs, steps),
        windows={"windows": steps},
        state="state",
    )


def _steps_in_a_row(inputs: Inputs, steps: int, batch: int, generator: torch.Generator) -> Iterator[dict[str, Tensor]]:
    """Inputs of consecutive steps: new audio of changing level each time, all other inputs as in the first."""
    first = dict(inputs(batch, generator))
    for step in range(steps):
        level = 0.1 * (1 + np.cos(0.2 * step)) / 2
        yield {**first, "window": level * torch.randn(first["window"].shape, generator=generator)}


def example_inputs(info: StreamingInfo, batch: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Inputs of a first step by name: audio at the level of speech, the state after silence."""
    rows = torch.arange(batch) % len(info.identities)
    return {
        "window": 0.1 * torch.randn(batch, info.buffer_len, generator=generator),
        "identity": torch.eye(len(info.identities))[rows],
        "emotion": torch.rand(batch, len(info.emotions), generator=generator),
        "state": torch.zeros(batch, info.state_size),
    }


def checked_arrays(
    run: TrainingRun,
    info: StreamingInfo,
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


def describe(info: StreamingInfo, config: AnimationConfig) -> list[str]:
    """Lines of the README about input and output of the network."""
    schedule = info.windows()
    return [
        f"- {info.num_shapes_skin} components of skin and {info.num_shapes_tongue} of tongue; the network outputs "
        "their coefficients",
        f"- {info.fps:g} frames per second, one step each: a window of {info.buffer_len} samples at "
        f"{info.samplerate:,} Hz, and a state of {info.state_size:,} values that starts as zeros",
        f"- A frame waits for {1000 * schedule.lookahead / info.samplerate:.0f} ms of audio after its time",
        f"- `{CONFORMANCE_FILE}`: inputs and results of {CONFORMANCE_STEPS} consecutive steps, for checking a port",
    ]
