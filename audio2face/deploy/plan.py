"""What deployment asks of a family of networks: the plan of an export, and the arrays and facts of a deployed folder.

A module such as `audio2face.deploy.diffusion` offers what `DeployModule` lists; the row of `audio2face.families` names
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from audio2face.config_base.types import NoiseSchedule
from audio2face.deploy.parity import ExportableGraph
from audio2face.errors import UserError
from audio2face.families import FAMILIES, resolve
from audio2face.model_folder import AnimationConfig, NetworkInfo
from audio2face.preproc.artifacts import PreprocArtifacts
from audio2face.training.run_folder import Origin, TrainingRun
from audio2face.types import Float32Array

RETRAIN_HINT = "The actor was preprocessed anew since, or trained with files of other runs: train anew."


@dataclass(frozen=True, kw_only=True)
class SamplerSettings:
    """How noise is taken away inside the graph.

    Attributes:
        noise_schedule: DIFFUSION_NOISE_SCHEDULE.
        respacing: the noise levels that are gone through, see `process.space_timesteps`.
        skip_steps: how many of the noisiest are left out.
    """

    noise_schedule: NoiseSchedule
    respacing: str
    skip_steps: int = 0


class ExportPlan(Protocol):
    """Everything that determines an exported network, but for the network itself."""

    @property
    def info(self) -> NetworkInfo:
        """What the deployed folder says of the network."""
        ...

    @property
    def has_emotions(self) -> bool:
        """False where the only emotion is a stand-in: the data have none, and the SDK cannot do without."""
        ...

    @property
    def sampling(self) -> SamplerSettings | None:
        """The steps inside the graph; None for a network that takes no noise away."""
        ...

    def exportable(self, network: Any) -> ExportableGraph:
        """What is exported of a network of the family, which is not changed."""
        ...


class DeployModule(Protocol):
    """What a family's module for deployment offers, as functions of the module."""

    def make_plan(self, run: TrainingRun, network: Any, train: Any, inference: Any) -> ExportPlan:
        """Takes the plan of an export from a configuration.

        Args:
            run: the training run; its data set names actors and emotions.
            network: the network.
            train: the section of `config_train.py`, for the family.
            inference: the section of `config_inference.py`, for the family.

        Raises:
            UserError: the settings do not fit each other, or the network.
        """
        ...

    def sampler_settings(self, train: Any, inference: Any) -> SamplerSettings | None:
        """The steps inside the graph, as configured; None for a network that takes no noise away."""
        ...

    def checked_arrays(
        self,
        run: TrainingRun,
        info: Any,
        actor: str,
        source: PreprocArtifacts,
        origin: Origin,
        arrays: Mapping[str, Float32Array],
    ) -> Mapping[str, Float32Array]:
        """The arrays of an actor as they are deployed.

        Args:
            run: the training run.
            info: what the network takes and gives.
            actor: the actor.
            source: its preprocessing run.
            origin: what training recorded of it.
            arrays: those of `info.actor_arrays`, from the preprocessing run.

        Raises:
            UserError: they are not those that the network was trained on.
        """
        ...

    def describe(self, info: Any, config: AnimationConfig) -> list[str]:
        """Lines of the README about what the network takes and gives."""
        ...


def deploy_module(network_type: str) -> DeployModule:
    """The module of a family for deployment.

    Raises:
        KeyError: there is no such family.
    """
    found: DeployModule = resolve(FAMILIES[network_type].deploy)
    return found


def check_sizes(info: NetworkInfo, source: PreprocArtifacts, arrays: Mapping[str, Float32Array]) -> None:
    """Makes sure that arrays have the shapes that the network was trained for.

    Raises:
        UserError: one has another shape.
    """
    for name, shape in info.actor_arrays.items():
        found = arrays[name].shape
        if len(found) != len(shape) or any(want not in (None, has) for want, has in zip(shape, found, strict=True)):
            wanted = ["any" if length is None else length for length in shape]
            raise UserError(
                f"array {name!r} has the shape {list(found)}, the network was trained for {wanted}",
                path=source.network_data.path,
                hint=RETRAIN_HINT,
            )
