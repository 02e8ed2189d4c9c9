"""Interface of a kind of network for deployment: the plan of an export, and arrays and facts of a deployed folder.

A module such as `audio2face.deploy.diffusion` offers what `DeployModule` lists; the row of `audio2face.families` names
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from audio2face.config_base.types import NoiseSchedule
from audio2face.deploy.parity import ExportableGraph
from audio2face.errors import UserError
from audio2face.families import FAMILIES, resolve
from audio2face.model_folder import AnimationConfig, NetworkInfo
from audio2face.preproc.artifacts import PreprocArtifacts
from audio2face.training.data.actors import read_components
from audio2face.training.run_folder import Origin, TrainingRun
from audio2face.types import MESHES, Float32Array

RETRAIN_HINT = "The actor was preprocessed again since, or trained with files of other runs: train again."


@dataclass(frozen=True, kw_only=True)
class SamplerSettings:
    """Denoising steps in the graph.

    Attributes:
        noise_schedule: DIFFUSION_NOISE_SCHEDULE.
        respacing: TIMESTEP_RESPACING, the selected noise levels.
        skip_steps: number of skipped noisiest levels.
    """

    noise_schedule: NoiseSchedule
    respacing: str
    skip_steps: int = 0


class ExportPlan(Protocol):
    """Settings of an exported network."""

    @property
    def info(self) -> NetworkInfo:
        """The network's record in the deployed folder."""
        ...

    @property
    def has_emotions(self) -> bool:
        """False if the only emotion is a placeholder: the data have none, and the SDK requires one."""
        ...

    @property
    def sampling(self) -> SamplerSettings | None:
        """The denoising steps in the graph; None for a network without."""
        ...

    def exportable(self, network: Any) -> ExportableGraph:
        """The exported form of a network of this kind, which is not modified."""
        ...


@runtime_checkable
class PlanWithExtras(Protocol):
    """An `ExportPlan` whose export has more files."""

    def write_extras(self, network: Any, folder: Path) -> None:
        """Writes them beside the graph; those of `NetworkInfo.extra_files`."""
        ...


class DeployModule(Protocol):
    """Functions of a module for deployment."""

    def make_plan(self, run: TrainingRun, network: Any, train: Any, inference: Any) -> ExportPlan:
        """Makes the plan of an export from a configuration.

        Args:
            run: the training run; its dataset names actors and emotions.
            network: the network.
            train: the section of `config_train.py`, for the family.
            inference: the section of `config_inference.py`, for the family.

        Raises:
            UserError: the settings do not match each other or the network.
        """
        ...

    def sampler_settings(self, train: Any, inference: Any) -> SamplerSettings | None:
        """The denoising steps in the graph, as configured; None for a network without."""
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
        """Validates and returns the arrays of an actor for deployment.

        Args:
            run: the training run.
            info: inputs and outputs of the network.
            actor: the actor.
            source: its preprocessing run.
            origin: the record of its data in the training run.
            arrays: the arrays of `info.actor_arrays`, from the preprocessing run.

        Raises:
            UserError: they are not those that the network was trained on.
        """
        ...

    def describe(self, info: Any, config: AnimationConfig) -> list[str]:
        """Lines of the README about input and output of the network."""
        ...


def deploy_module(network_type: str) -> DeployModule:
    """The module of a family for deployment.

    Raises:
        KeyError: there is no such family.
    """
    found: DeployModule = resolve(FAMILIES[network_type].deploy)
    return found


def check_sizes(info: NetworkInfo, source: PreprocArtifacts, arrays: Mapping[str, Float32Array]) -> None:
    """Checks that arrays have the shapes of the trained network.

    Raises:
        UserError: one has another shape.
    """
    for name, shape in info.actor_arrays.items():
        found = arrays[name].shape
        if len(found) != len(shape) or any(want not in (None, has) for want, has in zip(shape, found, strict=True)):
            expected = ["any" if length is None else length for length in shape]
            raise UserError(
                f"array {name!r} has the shape {list(found)}, the network was trained for {expected}",
                path=source.network_data.path,
                hint=RETRAIN_HINT,
            )


def trained_components(origin: Origin) -> dict[str, Float32Array]:
    """The components and mean poses that training read from separate files, by the names of an actor's arrays."""
    named: dict[str, Float32Array] = {}
    for part in MESHES:
        path = origin.files.get(f"{part.upper()}_PCA_SHAPES_FPATH")
        if path is not None:
            shapes = read_components(path)
            named |= {f"shapes_matrix_{part}": shapes.matrix, f"shapes_mean_{part}": shapes.mean}
    return named
