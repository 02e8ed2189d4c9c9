"""How a face speaks: what is asked of a deployed model, and the parameters that come of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from audio2face.animation import SolverMethod
from audio2face.errors import UserError
from audio2face.inference import GraphDevice, Noise
from audio2face.model_folder import DeployedActor, DeployedModel, parameter_ranges


@dataclass(frozen=True, kw_only=True)
class PerformSettings:
    """How a face speaks.

    Attributes:
        actor: whose face it is; None where the model has only one.
        emotion: what the user says of the emotion, see `EmotionNames.wish`.
        zero_emotion: the word for no emotion.
        fps: frames per second of the animation; None: the network's own, and for a regression network those of the
            actor's recordings, else 30.
        parameters: values that take the place of the model's own, by name.
        seed: chooses the noise of a diffusion network, and the pauses between blinks.
        noise: noise of a window, in place of the seed's.
        blinks: whether the face blinks.
        solver: how weights of blend shapes are found; None: not at all.
        normalize: whether the recording is first brought to full scale.
        device: what the network runs on.
    """

    actor: str | None = None
    emotion: str | None = None
    zero_emotion: str = "neutral"
    fps: Fraction | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    noise: Noise | None = None
    blinks: bool = True
    solver: SolverMethod | None = "cpu"
    normalize: bool = False
    device: GraphDevice = "cpu"


def merged_parameters(actor: DeployedActor, changes: Mapping[str, float]) -> dict[str, float]:
    """The parameters of an actor, with some values changed.

    Raises:
        UserError: there is no such parameter, or a value is out of its range.
    """
    ranges = parameter_ranges()
    for name, value in changes.items():
        if name not in ranges:
            raise UserError(f"there is no animation parameter {name!r}", hint=f"There are: {', '.join(ranges)}.")
        lowest, highest = ranges[name]
        if not (lowest <= value <= highest and math.isfinite(value)):
            raise UserError(f"{name} is {value:g}, expected a number from {lowest:g} to {highest:g}")
    return {**actor.config.parameters, **changes}


def find_actor(model: DeployedModel, name: str | None) -> DeployedActor:
    """The actor of a name; None: the model's only one.

    Raises:
        UserError: there is no such actor, or there are several.
    """
    if name is not None:
        return model.actor(name)
    if len(model.actors) > 1:
        raise UserError("whose face is to move?", hint=f"Give --actor: {', '.join(model.info.identities)}.")
    return model.actors[0]
