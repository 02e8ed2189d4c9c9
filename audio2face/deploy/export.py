"""`export.json` in a training run: what was exported, kept beside the graph, which cannot say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import pydantic
from torch import nn

from audio2face.config import Dataset, InferenceSection, TrainSection
from audio2face.console import LOGGER
from audio2face.dataset.emotions import EmotionVectors
from audio2face.deploy.onnx_graph import export_graph
from audio2face.deploy.parity import ExportableGraph, ParityReport, measure_parity, unflatten_report
from audio2face.deploy.plan import ExportPlan, SamplerSettings, deploy_module
from audio2face.errors import FileFormatError, UserError
from audio2face.io.atomic import make_durable, write_json
from audio2face.io.claims import remove_leftovers, temporary_folder
from audio2face.model_folder.trt_info import ONNX_FILE
from audio2face.model_folder.writer import write_network_facts
from audio2face.models import encoders
from audio2face.training.families import training_module
from audio2face.training.run_folder import DEPLOY_FOLDER, TrainingRun

RECORD_FILE = "export.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class ExportRecord:
    """What was exported.

    Attributes:
        encoder: the speech encoder, as `encoders.record` describes it; empty for a network without.
        has_emotions: False where the only emotion is a stand-in, because the SDK cannot do without.
        sampling: the steps inside the graph; None for a network that takes no noise away.
        parity: how far graph and network agree.
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
                hint="Let training end, or give --export to export the weights there are.",
            )
        try:
            record = _READER.validate_json(path.read_bytes())
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise FileFormatError(f"is no record of an export: {place}: {first['msg']}", path=path) from error
        except OSError as error:
            raise UserError(f"cannot be read: {error.strerror}", path=path) from error
        if record.schema_version != SCHEMA_VERSION:
            raise FileFormatError(f"has the layout {record.schema_version}, known is {SCHEMA_VERSION}", path=path)
        return record


_READER = pydantic.TypeAdapter(ExportRecord)


def make_plan(run: TrainingRun, network: nn.Module, train: TrainSection, inference: InferenceSection) -> ExportPlan:
    """Takes the plan from a configuration.

    Args:
        run: the training run; its data set names actors and emotions.
        network: the network.
        train: window and version.
        inference: which steps the graph of a network goes through that takes noise away.

    Raises:
        UserError: the settings are for another type of network, or do not fit the network.
    """
    trained = str(run.configuration.network_type)
    _warn_of_stand_in(run.configuration.dataset, train)
    if trained != train.NETWORK_TYPE:
        raise UserError(
            f"holds a network of type {trained!r}, and the settings are of type {train.NETWORK_TYPE!r}",
            path=run.path,
            hint="Name the configuration that it was trained with.",
        )
    return deploy_module(trained).make_plan(run, network, train, inference)


def _warn_of_stand_in(dataset: Dataset, train: TrainSection) -> None:
    emotions = EmotionVectors.from_vocabulary(dataset.SHOT_EMOTION_NAMES, train.SHOT_EMOTION_NAME_FOR_ALL_ZEROS)
    if emotions.is_inert:
        LOGGER.warning(
            "the data have no emotion besides %r: the deployed model gets one named %r, which does nothing, since the "
            "SDK needs one",
            emotions.zero,
            emotions.names[0],
        )


_ONNX_DATA = f"{ONNX_FILE}.data"
_FINISHED = ".exported"  # a whole export that is on its way to its places


def export_run(
    run_folder: Path, train: TrainSection | None = None, inference: InferenceSection | None = None
) -> ExportRecord:
    """Exports the weights of a training run into the run, from its files alone.

    Args:
        run_folder: the training run, its weights written.
        train: window and version; None: as configured when the run was begun.
        inference: which steps the graph goes through, of a network that takes noise away; None: as configured then.

    Returns:
        What is kept about the export in the run.

    Raises:
        UserError: the run is not finished, damaged, or of another network type; or as `export_network`.
    """
    run = TrainingRun.open(run_folder)
    begun = run.configuration
    network = training_module(str(begun.network_type)).load_network(run)
    return export_network(
        run_folder, network, make_plan(run, network, train or begun.train, inference or begun.inference)
    )


def export_network(run_folder: Path, network: nn.Module, plan: ExportPlan) -> ExportRecord:
    """Exports a network into a training run.

    Args:
        run_folder: the training run.
        network: with its speech encoder and the weights that are to be used; on any device, it is not changed.
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
    """Moves the files of a finished export to their places, also of one that was killed while it did so.

    What unfinished exports of processes that are gone left is removed. Until an export is finished, what the run held
    before is untouched; from then on it counts, whatever happens.

    Raises:
        UserError: the files cannot be moved.
    """
    finished, folder = run_folder / _FINISHED, run_folder / DEPLOY_FOLDER
    for place in (run_folder, folder):
        remove_leftovers(place, ".export.*")
    if not finished.is_dir():
        return
    try:
        folder.mkdir(exist_ok=True)
        (run_folder / RECORD_FILE).unlink(missing_ok=True)
        if (finished / ONNX_FILE).is_file() and not (finished / _ONNX_DATA).is_file():
            (folder / _ONNX_DATA).unlink(missing_ok=True)
        # The graph before its weights, which would otherwise pass for those of an older graph; the record, which says
        # that all are there, last.
        files = sorted(finished.iterdir(), key=lambda path: (path.name == RECORD_FILE, path.name == _ONNX_DATA))
        for path in files:
            path.replace((run_folder if path.name == RECORD_FILE else folder) / path.name)
        finished.rmdir()
    except OSError as error:
        raise UserError(
            f"a finished export cannot be moved to its place: {error.strerror}",
            path=finished,
            hint="Check permissions.",
        ) from error


def _export_checked(exported: ExportableGraph, path: Path, run_folder: Path) -> ParityReport:
    """Writes the graph and compares it with the network; where they differ, no graph stays in the run either."""
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
                hint="The weights are kept. Look at the loss: weights that grew without bounds export badly.",
            )
    except UserError:
        for stale in (RECORD_FILE, f"{DEPLOY_FOLDER}/{ONNX_FILE}", f"{DEPLOY_FOLDER}/{_ONNX_DATA}"):
            (run_folder / stale).unlink(missing_ok=True)
        raise
    LOGGER.info("the exported network agrees with the trained one to %s", parity.largest_in_words)
    return parity
