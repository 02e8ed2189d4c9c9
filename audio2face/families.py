"""The families of networks: one row says which modules and classes make a network trainable, deployable and animatable.

Every layer asks this table instead of asking which network it has: configuration for the parameters, training for the
task, deployment for the export, the model folder for `network_info.json`, inference for the session. A row names things
by reference ("package.module" or "package.module:name"), which is imported when it is first needed, so that whoever
only animates loads no torch. A package of its own adds a row with `register_family`, or lets it be found by declaring
an entry point in the group "audio2face.families".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any

ENTRY_POINTS = "audio2face.families"


@dataclass(frozen=True, kw_only=True)
class Family:
    """One kind of network.

    Attributes:
        name: NETWORK_TYPE in a configuration, "type" in `network_info.json` and in the record of a run.
        train_parameters: module of the parameters of `config_train.py` and their defaults.
        inference_parameters: module of those of `config_inference.py`.
        training: module that offers what `training.families.TrainingModule` lists.
        deploy: module that offers what `deploy.plan.DeployModule` lists.
        info: class of `network_info.json`, a `model_folder.NetworkInfo`.
        session: class that runs the exported graph, an `inference.NetworkSession`.
        multi_actor: whether one network holds several actors.
        unused_parameters: common parameters of `config_train.py` without effect on this network.
    """

    name: str
    train_parameters: str
    inference_parameters: str
    training: str
    deploy: str
    info: str
    session: str
    multi_actor: bool = False
    unused_parameters: tuple[str, ...] = field(default=())


_FAMILIES: dict[str, Family] = {
    "regression": Family(
        name="regression",
        train_parameters="audio2face.config_base.config_train_regression_base",
        inference_parameters="audio2face.config_base.config_inference_regression_base",
        training="audio2face.training.regression",
        deploy="audio2face.deploy.regression",
        info="audio2face.model_folder.network_info:RegressionInfo",
        session="audio2face.inference.sessions:RegressionSession",
        unused_parameters=("TARGET_FPS", "TARGET_DATA_CACHING", "TARGET_OBJECTS_TO_CUDA"),
    ),
    "diffusion": Family(
        name="diffusion",
        train_parameters="audio2face.config_base.config_train_diffusion_base",
        inference_parameters="audio2face.config_base.config_inference_diffusion_base",
        training="audio2face.training.diffusion",
        deploy="audio2face.deploy.diffusion",
        info="audio2face.model_folder.network_info:DiffusionInfo",
        session="audio2face.inference.sessions:DiffusionSession",
        multi_actor=True,
        unused_parameters=(
            *("LOSS_MOTION_ALPHA", "LOSS_LIP_DIST_EMO_WEIGHTS"),
            *("PHONEME_DATA_CACHING", "TARGET_DATA_CACHING", "TARGET_OBJECTS_TO_CUDA"),
        ),
    ),
}
# All families by name, those of the framework first.
FAMILIES: Mapping[str, Family] = MappingProxyType(_FAMILIES)


def register_family(family: Family) -> None:
    """Adds a family of another package, in the place of one of the same name.

    Raises:
        ValueError: the name is that of a family of the framework.
    """
    if family.name in _OWN:
        raise ValueError(f"{family.name!r} is a family of the framework")
    _FAMILIES[family.name] = family


def unregister_family(name: str) -> None:
    """Removes a family that `register_family` added."""
    if name not in _OWN:
        _FAMILIES.pop(name, None)


def resolve(reference: str) -> Any:
    """What a reference names, imported if need be: a module, or with ":name" something inside of it."""
    module, _, name = reference.partition(":")
    found = import_module(module)
    return getattr(found, name) if name else found


_OWN = frozenset(_FAMILIES)
for _found in entry_points(group=ENTRY_POINTS):
    register_family(_found.load())
