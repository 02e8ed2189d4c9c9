"""ONNX export of a training run: the graph, its parity check, and the record `export.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import pydantic
from torch import nn

from audio2face.config import Dataset, InferenceSection, TrainSection
from audio2face.console import LOGGER
from audio2face.dataset.shots import EmotionVectors
from audio2face.deploy.onnx_graph import export_graph
from audio2face.deploy.parity import ExportableGraph, ParityReport, measure_parity, unflatten_report
from audio2face.deploy.plan import ExportPlan, PlanWithExtras, SamplerSettings, deploy_module
from audio2face.errors import FileFormatError, UserError
from audio2face.io.atomic import make_durable, write_json
from audio2face.io.claims import remove_leftovers, temporary_folder
from audio2face.model_folder.trt_info import ONNX_FILE
from audio2face.model_folder.writer import write_network_facts
from audio2face.models import encoders
from audio2face.training.run_folder import DEPLOY_FOLDER, TrainingRun
from audio2face.training.task import training_module

RECORD_FILE = "export.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class ExportRecord:
    """Record of an export.

    Attributes:
        encoder: record of the speech encoder; empty for a network without one.
        has_emotions: False if the only emotion is a placeholder, because the SDK requires one.
        sampling: the denoising steps in the graph; None for a network without.
        parity: result of the parity check.
    """

    encoder: Mapping[str, Any]
    has_emotions: bool
    sampling: SamplerSettings | None
    parity: Annotated[ParityReport, pydantic.BeforeValidator(unflatten_report)]
    schema_version: int = SCHEMA_VERSION

    def save(self, run_folder: Path) -> None:
        """Writes the record into a training run."""
        write_json(run_folder / RECORD_FILE, asdict(self) | {"parity": self.parity.as_json()})

    @classmethod
    def open(cls, run_folder: Path) -> ExportRecord:
        """Reads the record of a training run.

        Raises:
            UserError: nothing was exported, or (FileFormatError) the record is damaged or of another version.
        """
        path = run_folder / RECORD_FILE
        if not path.is_file():
            raise UserError(
                f"was not exported: {RECORD_FILE} is missing",
                path=run_folder,
                hint="Finish training, or use --export to export the current weights.",
            )
        try:
            record = _READER.validate_json(path.read_bytes())
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            location = ".".join(map(str, first["loc"]))
            raise FileFormatError(
                f"is not a valid record of an export: {location}: {first['msg']}", path=path
            ) from error
        except OSError as error:
            raise UserError(f"cannot be read: {error.strerror}", path=path) from error
        if record.schema_version != SCHEMA_VERSION:
            raise FileFormatError(f"has schema version {record.schema_version}, expected {SCHEMA_VERSION}", path=path)
        return record


_READER = pydantic.TypeAdapter(ExportRecord)


def make_plan(run: TrainingRun, network: nn.Module, train: TrainSection, inference: InferenceSection) -> ExportPlan:
    """Makes the plan from a configuration.

    Args:
        run: the training run; its dataset names actors and emotions.
        network: the network.
        train: window and version.
        inference: denoising steps of the graph of a diffusion network.

    Raises:
        UserError: the settings are for another type of network, or do not fit the network.
    """
    trained = str(run.configuration.network_type)
    _warn_of_stand_in(run.configuration.dataset, train)
    if trained != train.NETWORK_TYPE:
        raise UserError(
            f"contains a network of type {trained!r}, and the configuration is of type {train.NETWORK_TYPE!r}",
            path=run.path,
            hint="Use the configuration that it was trained with.",
        )
    return deploy_module(trained).make_plan(run, network, train, inference)


def _warn_of_stand_in(dataset: Dataset, train: TrainSection) -> None:
    emotions = EmotionVectors.from_vocabulary(dataset.SHOT_EMOTION_NAMES, train.SHOT_EMOTION_NAME_FOR_ALL_ZEROS)
    if emotions.is_inert:
        LOGGER.warning(
            "the data have no emotion besides %r: the deployed model gets a placeholder named %r without effect, "
            "because the SDK requires one",
            emotions.zero,
            emotions.names[0],
        )


_ONNX_DATA = f"{ONNX_FILE}.data"
_FINISHED = ".exported"  # a complete export before its files are moved


def export_run(
    run_folder: Path, train: TrainSection | None = None, inference: InferenceSection | None = None
) -> ExportRecord:
    """Exports the weights of a training run into the run, from its files alone.

    Args:
        run_folder: the training run, its weights written.
        train: window and version; None: those of the run's configuration.
        inference: denoising steps of the graph of a diffusion network; None: those of the run's configuration.

    Returns:
        What is kept about the export in the run.

    Raises:
        UserError: the run is not finished, damaged, or of another network type; or as `export_network`.
    """
    run = TrainingRun.open(run_folder)
    configuration = run.configuration
    network = training_module(str(configuration.network_type)).load_network(run)
    return export_network(
        run_folder, network, make_plan(run, network, train or configuration.train, inference or configuration.inference)
    )


def export_network(run_folder: Path, network: nn.Module, plan: ExportPlan) -> ExportRecord:
    """Exports a network into a training run.

    Args:
        run_folder: the training run.
        network: with its speech encoder and weights, on any device; it is not modified.
        plan: the settings, for the network's family.

    Returns:
        What is kept about it in the run, with how far the exported graph and the network agree.

    Raises:
        UserError: the files cannot be written, or graph and network do not agree; there is no graph then.
    """
    finish_export(run_folder)
    try:
        with temporary_folder(run_folder, "export") as stage:
            write_network_facts(stage, plan.info)
            parity = _export_checked(plan.exportable(network), stage / ONNX_FILE, run_folder)
            if isinstance(plan, PlanWithExtras):
                plan.write_extras(network, stage)
            encoder = getattr(network, "encoder", None)
            record = ExportRecord(
                encoder=encoders.encoder_record(encoder) if isinstance(encoder, encoders.SpeechEncoder) else {},
                has_emotions=plan.has_emotions,
                sampling=plan.sampling,
                parity=parity,
            )
            record.save(stage)
            make_durable(stage)
            stage.rename(run_folder / _FINISHED)
    except OSError as error:
        raise UserError(
            f"the exported network could not be written: {error.strerror or error}",
            path=run_folder,
            hint="Check free disk space and permissions.",
        ) from error
    finish_export(run_folder)
    return record


def finish_export(run_folder: Path) -> None:
    """Moves the files of a complete export to the run, also after a kill in the middle.

    Leftovers of incomplete exports are removed. An incomplete export does not affect earlier files of the run; a
    complete one replaces them.

    Raises:
        UserError: the files cannot be moved.
    """
    finished, folder = run_folder / _FINISHED, run_folder / DEPLOY_FOLDER
    for parent in (run_folder, folder):
        remove_leftovers(parent, ".export.*")
    if not finished.is_dir():
        return
    try:
        folder.mkdir(exist_ok=True)
        (run_folder / RECORD_FILE).unlink(missing_ok=True)
        if (finished / ONNX_FILE).is_file() and not (finished / _ONNX_DATA).is_file():
            (folder / _ONNX_DATA).unlink(missing_ok=True)
        # The graph first, so that an old graph never has new weights; the record last, because it marks the export as
        # complete.
        files = sorted(finished.iterdir(), key=lambda path: (path.name == RECORD_FILE, path.name == _ONNX_DATA))
        for path in files:
            path.replace((run_folder if path.name == RECORD_FILE else folder) / path.name)
        finished.rmdir()
    except OSError as error:
        raise UserError(
            f"a complete export cannot be moved to the run: {error.strerror}",
            path=finished,
            hint="Check permissions.",
        ) from error


def _export_checked(exported: ExportableGraph, path: Path, run_folder: Path) -> ParityReport:
    """Writes the graph and compares it with the network; if they differ, the graph is removed from the run."""
    LOGGER.info("exporting the network to ONNX")
    export_graph(exported.module, exported.info, exported.inputs, path)
    LOGGER.info("comparing the exported network with the trained one")
    try:
        parity = measure_parity(exported, path)
        if not parity.is_good:
            raise UserError(
                f"the exported network differs from the trained one by {parity.largest_in_words}, "
                f"more than {parity.limit_in_words}",
                path=run_folder / DEPLOY_FOLDER / ONNX_FILE,
                hint="The weights are kept. Check the loss: diverged weights export inaccurately.",
            )
    except UserError:
        for stale in (RECORD_FILE, f"{DEPLOY_FOLDER}/{ONNX_FILE}", f"{DEPLOY_FOLDER}/{_ONNX_DATA}"):
            (run_folder / stale).unlink(missing_ok=True)
        raise
    LOGGER.info("the exported network agrees with the trained one to %s", parity.largest_in_words)
    return parity
