"""Deployment of diffusion networks: plan and graph of the export, arrays and README of the folder (`DeployModule`)."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import numpy as np
import torch
from torch import Tensor

from audio2face.audio import Resampler
from audio2face.config import InferenceDiffusion, TrainDiffusion
from audio2face.console import LOGGER
from audio2face.dataset.shots import EmotionVectors
from audio2face.deploy.parity import ExportableGraph, Inputs, ParityChannel, ParityCheck, ParityLimit
from audio2face.deploy.plan import RETRAIN_HINT, SamplerSettings
from audio2face.errors import UserError
from audio2face.model_folder import AnimationConfig, DiffusionInfo
from audio2face.model_folder.network_info import SEVERAL_ACTORS
from audio2face.models.diffusion import process
from audio2face.models.diffusion.network import DiffusionNetwork, DiffusionSettings
from audio2face.models.diffusion.sampling import WindowSampler
from audio2face.models.windows import WindowSchedule
from audio2face.preproc.artifacts import PreprocArtifacts
from audio2face.training.diffusion import CONSTANTS_FILE
from audio2face.training.inference.diffusion import streaming_windows
from audio2face.training.inference.trained_run import deployed_resampler
from audio2face.training.run_folder import Origin, TrainingRun
from audio2face.types import MM_PER_CM, Float32Array

PARITY_LIMIT_MM = 1e-3
# One track and several; a size that the graph took for a constant shows, because it is traced with a third one. The
# second window takes the hidden state that the first one gave.
PARITY_BATCHES = (1, 2)
PARITY_WINDOWS = 2

_SAME_FACE_CM = 1e-3


@dataclass(frozen=True, kw_only=True)
class DiffusionPlan:
    """Settings of an exported network.

    Attributes:
        version: version of the model, for display.
        network: sizes of the network.
        actors: the actors in the order of the identity input.
        emotions: the emotions in the order of the emotion input, without the zero emotion.
        has_emotions: False if `emotions` is a placeholder: the data have none, and the SDK requires one.
        default_emotion: the vector of the emotion that the model starts with.
        sampling: the steps inside the graph.
        windows: samples and frames of a window.
        padding_right: samples of silence after a recording.
        resampler: filter for recordings of other rates.
    """

    version: str
    network: DiffusionSettings
    actors: tuple[str, ...]
    emotions: tuple[str, ...]
    has_emotions: bool
    default_emotion: tuple[float, ...]
    sampling: SamplerSettings
    windows: WindowSchedule
    padding_right: int
    resampler: Resampler

    @property
    def schedule(self) -> process.NoiseSchedule:
        """The noise schedule of the steps in the graph.

        Raises:
            UserError: the respacing does not fit the number of steps that were trained.
        """
        kind, steps = self.sampling.noise_schedule, self.network.diffusion_steps
        return process.make_noise_schedule(kind, steps, self.sampling.respacing)

    @property
    def info(self) -> DiffusionInfo:
        """The network's record in the deployed folder."""
        network, windows = self.network, self.windows
        return DiffusionInfo(
            actor=self.actors[0] if len(self.actors) == 1 else SEVERAL_ACTORS,
            version=self.version,
            emotions=self.emotions,
            default_emotion=self.default_emotion,
            identities=self.actors,
            skin_size=network.skin_size,
            tongue_size=network.tongue_size,
            jaw_size=network.jaw_size,
            eyes_size=network.eye_size,
            num_diffusion_steps=len(self.schedule),
            num_gru_layers=network.num_gru_layers,
            gru_latent_dim=network.gru_feature_dim,
            num_frames_left_truncate=windows.left_context,
            num_frames_right_truncate=windows.right_context,
            num_frames_center=windows.hop,
            buffer_len=windows.window,
            padding_left=windows.padding,
            padding_right=self.padding_right,
            samplerate=windows.samplerate,
            resampler=self.resampler,
        )

    def exportable(self, network: DiffusionNetwork) -> ExportableGraph:
        """The network with its sampling."""
        sampler, info = make_sampler(network, self), self.info
        inputs = partial(example_inputs, info)
        return ExportableGraph(sampler, info, inputs, make_parity_check(info, inputs))


def make_plan(
    run: TrainingRun, network: DiffusionNetwork, train: TrainDiffusion, inference: InferenceDiffusion
) -> DiffusionPlan:
    """Makes the plan from a configuration.

    Args:
        run: the training run; its dataset names actors and emotions.
        network: the network.
        train: window, schedule, version.
        inference: denoising steps of the graph.

    Raises:
        UserError: window and frame rate do not fit each other, or the default emotion is unknown.
    """
    dataset = run.configuration.dataset
    emotions = EmotionVectors.from_vocabulary(dataset.SHOT_EMOTION_NAMES, train.SHOT_EMOTION_NAME_FOR_ALL_ZEROS)
    _warn_of_what_consumers_need(train, inference)
    plan = DiffusionPlan(
        version=train.NETWORK_VERSION,
        network=network.settings,
        actors=dataset.ACTOR_NAMES,
        emotions=emotions.names,
        has_emotions=not emotions.is_inert,
        default_emotion=tuple(emotions.vector(train.DEFAULT_SHOT_EMOTION_NAME).tolist()),
        sampling=sampler_settings(train, inference),
        windows=streaming_windows(train),
        padding_right=train.AUDIO_PARAMS["padding_right"],
        resampler=deployed_resampler(train.AUDIO_PREPROC_METHOD, train.AUDIO_RESAMPLER),
    )
    _check_rate(plan.info, train.TARGET_FPS)
    return plan


def sampler_settings(train: TrainDiffusion, inference: InferenceDiffusion) -> SamplerSettings:
    """Reads the denoising steps of the graph from a configuration."""
    respacing = inference.TIMESTEP_RESPACING
    return SamplerSettings(
        noise_schedule=train.DIFFUSION_NOISE_SCHEDULE,
        respacing=str(inference.NUM_DIFFUSION_STEPS) if respacing is None else respacing,
        skip_steps=inference.SKIP_STEPS,
    )


def _check_rate(info: DiffusionInfo, fps: float) -> None:
    if info.fps != Fraction(fps):
        raise UserError(
            f"a window of {info.buffer_len} samples with {info.frames} frames makes {float(info.fps):g} frames per "
            f"second, TARGET_FPS is {fps:g}: consumers take the former",
            hint="Correct STREAMING_CFG and AUDIO_PARAMS in config_train.py.",
        )


def _warn_of_what_consumers_need(train: TrainDiffusion, inference: InferenceDiffusion) -> None:
    """Warns of parameters that the export ignores, because the Audio2Face-3D SDK requires other values."""
    for name in ("USE_PER_FRAME_EMO_LABEL", "USE_EXTERNAL_NOISE_INPUT", "USE_DELTA_OUTPUT"):
        if not getattr(inference, name):
            LOGGER.warning("%s = False is ignored in the exported network: the SDK requires True", name)
    if inference.USE_DDIM:
        LOGGER.warning("USE_DDIM is ignored in the exported network")
    if not train.NO_STANDARDIZE_AUDIO:
        LOGGER.warning("NO_STANDARDIZE_AUDIO = False: consumers of the deployed model never standardise audio")


def make_parity_check(
    info: DiffusionInfo, inputs: Inputs, batches: tuple[int, ...] = PARITY_BATCHES, windows: int = PARITY_WINDOWS
) -> ParityCheck:
    """The parity check of graph and network: in millimetres, on consecutive windows.

    Args:
        info: names and sizes of inputs and outputs.
        inputs: makes inputs of a first window.
        batches: batch sizes of the check.
        windows: number of consecutive windows, with the hidden state carried over.
    """
    return ParityCheck(
        channels=(
            ParityChannel("skin", info.skin_size, "mm", MM_PER_CM),
            ParityChannel("tongue", info.tongue_size, "mm", MM_PER_CM),
            ParityChannel("jaw", info.jaw_size, "mm", MM_PER_CM),
            ParityChannel("eyes", info.eyes_size, "degrees"),
        ),
        limit=ParityLimit(PARITY_LIMIT_MM, "mm"),
        batches=batches,
        feeds=partial(_windows_in_a_row, inputs, windows),
        windows={"windows": windows},
        state="input_latents",
    )


def _windows_in_a_row(
    inputs: Inputs, windows: int, batch: int, generator: torch.Generator
) -> Iterator[dict[str, Tensor]]:
    """Inputs of consecutive windows: new audio each time, all other inputs as in the first."""
    first = dict(inputs(batch, generator))
    for _ in range(windows):
        yield {**first, "window": 0.1 * torch.randn(first["window"].shape, generator=generator)}


def make_sampler(network: DiffusionNetwork, plan: DiffusionPlan) -> WindowSampler:
    """A copy of the network on the CPU, in evaluation mode, with its sampling.

    The column of a placeholder emotion was never trained; it is set to zero, so that it has no effect.
    """
    frozen = copy.deepcopy(network).to(device="cpu", dtype=torch.float32).eval().requires_grad_(False)
    if not plan.has_emotions:
        frozen.emotion_projection.weight.zero_()
    return WindowSampler(frozen, plan.schedule, plan.windows, skip_steps=plan.sampling.skip_steps).eval()


def example_inputs(info: DiffusionInfo, batch: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Inputs of a first window by name: audio at the level of speech, initial hidden state."""
    shapes = {tensor.name: [batch if length is None else length for length in tensor.shape] for tensor in info.inputs}
    rows = torch.arange(batch) % len(info.identities)
    return {
        "window": 0.1 * torch.randn(shapes["window"], generator=generator),
        "identity": torch.eye(len(info.identities))[rows],
        "emotion": torch.rand(shapes["emotion"], generator=generator),
        "input_latents": torch.zeros(shapes["input_latents"]),
        "noise": torch.randn(shapes["noise"], generator=generator),
    }


def checked_arrays(
    run: TrainingRun,
    info: DiffusionInfo,
    actor: str,
    source: PreprocArtifacts,
    origin: Origin,
    arrays: Mapping[str, Float32Array],
) -> Mapping[str, Float32Array]:
    """Checks that the arrays' neutral poses are those that the network was trained with, and returns the arrays.

    Raises:
        UserError: the actor's neutral face is another one.
    """
    constants, position = run.tensors(CONSTANTS_FILE), info.identities.index(actor)
    neutral, scale = constants["neutral"][position].numpy(), constants["scale"][position].numpy()
    ends = (0, info.skin_size, info.skin_size + info.tongue_size)
    for index, name in enumerate(info.neutral_arrays):
        trained = neutral[ends[index] : ends[index + 1]].reshape(-1, 3) * scale[index]
        given = arrays[name]
        far = _distance(trained, given) if trained.shape == given.shape else float("inf")
        if not far < _SAME_FACE_CM:
            raise UserError(
                f"array {name!r} differs by {far:.3g} cm from the neutral pose in the training of {run.path.name}",
                path=source.network_data.path,
                hint=RETRAIN_HINT,
            )
    return arrays


def _distance(one: Float32Array, other: Float32Array) -> float:
    """The largest difference of two centred poses: normalisation removes the centre."""
    return float(np.abs((one - one.mean(axis=0)) - (other - other.mean(axis=0))).max())


def describe(info: DiffusionInfo, config: AnimationConfig) -> list[str]:
    """Lines of the README about input and output of the network."""
    return [
        f"- {float(info.fps):g} frames per second; windows of {info.buffer_len / info.samplerate:g} s at "
        f"{info.samplerate:,} Hz, of which the middle {info.num_frames_center} of {info.frames} frames count",
        f"- {info.num_diffusion_steps} denoising steps in the graph",
    ]
