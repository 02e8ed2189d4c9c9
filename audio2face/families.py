"""The families of networks: one row names the modules and classes that train, deploy and run one kind of network.

All other code asks this table instead of asking which network it has. A row names things by reference
("package.module" or "package.module:name"), which is imported when it is first needed, so that a process that only
animates loads no torch.

A family provides:

1. `train_parameters`: a base module for `config_train.py`. It has the parameters of `config_base.train_common` (all of
   them: `from audio2face.config_base.train_common import *`), and beside its own at least NETWORK_TYPE (a `Literal` of
   the family's name), NETWORK_NAME, TARGET_CHANNELS, AUDIO_PARAMS (with "samplerate"), NUM_EPOCHS, LOG_PERIOD,
   VALIDATION_PERIOD_EPOCHS and GRADIENT_ACCUMULATION_STEPS.
2. `inference_parameters`: a base module for `config_inference.py` with at least CONFIG, CALIBRATE_POST_PROCESSING,
   AUDIO_PATH, ACTOR_NAME, EMOTION_LABEL and INFERENCE_OUTPUT_ROOT.
3. `training`: a module with the functions of `training.task.TrainingModule`: `open_task` returns the
   `training.task.Task` with batches, losses and validation; `load_network` restores a trained network.
4. `deploy`: a module with the functions of `deploy.plan.DeployModule`: `make_plan` (the ONNX export and its parity
   check), `sampler_settings`, `checked_arrays` and `describe`.
5. `info`: a subclass of `model_folder.network_info.NetworkInfo`, which reads and writes `network_info.json` and says
   how windows, frames and channels are laid out.
6. `session`: an `inference.sessions.NetworkSession`, which runs the exported graph. It and `info` import no torch.
7. `trained`, if its networks may teach others (TEACHER_RUN): a class derived from
   `training.inference.trained_run.TrainedRun`, which runs the network of a training run over whole recordings.

A package adds its family with `register_family`, or with an entry point in the group "audio2face.families"::

    [project.entry-points."audio2face.families"]
    loudness = "loudness:FAMILY"

`tests/stages/loudness` is the smallest complete example.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any

from audio2face.console import LOGGER

ENTRY_POINTS = "audio2face.families"


@dataclass(frozen=True, kw_only=True)
class Family:
    """One kind of network.

    Attributes:
        name: NETWORK_TYPE in a configuration, "type" in `network_info.json` and in the record of a run.
        train_parameters: module of the parameters of `config_train.py` and their defaults.
        inference_parameters: module of those of `config_inference.py`.
        training: module with the functions of `training.task.TrainingModule`.
        deploy: module with the functions of `deploy.plan.DeployModule`.
        info: class of `network_info.json`, a subclass of `model_folder.NetworkInfo`.
        session: class that runs the exported graph, an `inference.NetworkSession`.
        raw_output: function that opens a training run to write the output of the network as it is, called with the
            configuration, the folder of the run and the parsed arguments of `audio2face animate`; returns a
            `training.inference.animate.RawNetwork`. None: the family has no such output.
        trained: class of a finished training run, a subclass of `training.inference.trained_run.TrainedRun`. None: its
            networks teach no other.
        multi_actor: whether one network holds several actors.
        unused_parameters: parameters of `config_train.py` without effect on this network; a value of the user's gets a
            warning.
    """

    name: str
    train_parameters: str
    inference_parameters: str
    training: str
    deploy: str
    info: str
    session: str
    raw_output: str | None = None
    trained: str | None = None
    multi_actor: bool = False
    unused_parameters: tuple[str, ...] = field(default=())


_FAMILIES: dict[str, Family] = {
    "regression": Family(
        name="regression",
        train_parameters="audio2face.config_base.config_train_regression_base",
        inference_parameters="audio2face.config_base.config_inference_regression_base",
        training="audio2face.training.regression",
        deploy="audio2face.deploy.regression",
        info="audio2face.model_folder.regression:RegressionInfo",
        session="audio2face.inference.sessions:RegressionSession",
        raw_output="audio2face.cli.raw_inference:open_regression",
        trained="audio2face.training.inference.regression:TrainedRegression",
        unused_parameters=("TARGET_FPS", "TARGET_DATA_CACHING", "TARGET_OBJECTS_TO_CUDA"),
    ),
    "diffusion": Family(
        name="diffusion",
        train_parameters="audio2face.config_base.config_train_diffusion_base",
        inference_parameters="audio2face.config_base.config_inference_diffusion_base",
        training="audio2face.training.diffusion",
        deploy="audio2face.deploy.diffusion",
        info="audio2face.model_folder.diffusion:DiffusionInfo",
        session="audio2face.inference.sessions:DiffusionSession",
        raw_output="audio2face.cli.raw_inference:open_diffusion",
        trained="audio2face.training.inference.diffusion:TrainedDiffusion",
        multi_actor=True,
        unused_parameters=(
            *("LOSS_MOTION_ALPHA", "LOSS_LIP_DIST_EMO_WEIGHTS"),
            *("PHONEME_DATA_CACHING", "TARGET_DATA_CACHING", "TARGET_OBJECTS_TO_CUDA"),
        ),
    ),
    "streaming": Family(
        name="streaming",
        train_parameters="audio2face.config_base.config_train_streaming_base",
        inference_parameters="audio2face.config_base.config_inference_streaming_base",
        training="audio2face.training.streaming",
        deploy="audio2face.deploy.streaming",
        info="audio2face.model_folder.streaming:StreamingInfo",
        session="audio2face.inference.step_session:StreamingSession",
        multi_actor=True,
        unused_parameters=("TARGET_OBJECTS_TO_CUDA",),
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


def _add_installed() -> None:
    """Adds the families that installed packages declare; one that fails to load is reported and skipped."""
    for found in entry_points(group=ENTRY_POINTS):
        try:
            register_family(found.load())
        except Exception as error:  # the code of another package may raise anything
            LOGGER.warning("the family of networks %r (%s) cannot be loaded: %s", found.name, found.value, error)


_OWN = frozenset(_FAMILIES)
_add_installed()
