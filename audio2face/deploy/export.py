"""Exports the network of a training run into the run: `deploy/` for consumers, `export.json` about it."""

from __future__ import annotations

from pathlib import Path

from audio2face.claims import remove_leftovers, temporary_folder
from audio2face.console import LOGGER
from audio2face.deploy.diffusion_export import exported_diffusion
from audio2face.deploy.diffusion_plan import DiffusionPlan
from audio2face.deploy.exported import Exported, Parity
from audio2face.deploy.graph import export_graph
from audio2face.deploy.plan import ExportPlan, Inference, Train, make_plan
from audio2face.deploy.record import RECORD_FILE, ExportRecord
from audio2face.deploy.regression_export import exported_regression
from audio2face.deploy.regression_plan import RegressionPlan
from audio2face.errors import UserError
from audio2face.files import make_durable
from audio2face.model_folder.trt_info import ONNX_FILE
from audio2face.model_folder.writer import write_network_facts
from audio2face.networks import encoders
from audio2face.networks.diffusion_rnn import Network
from audio2face.networks.regression import RegressionNetwork
from audio2face.training import diffusion_task, regression_task
from audio2face.training.training_run import TrainingRun

DEPLOY_FOLDER = "deploy"
_ONNX_DATA = f"{ONNX_FILE}.data"
_FINISHED = ".exported"  # a whole export that is on its way to its places


def export_run(run_folder: Path, train: Train | None = None, inference: Inference | None = None) -> ExportRecord:
    """Exports the weights of a training run into the run, from its files alone.

    Args:
        run_folder: the training run, its weights written.
        train: window and version; None: as configured when the run was begun.
        inference: which steps a diffusion graph goes through; None likewise.

    Returns:
        What is kept about the export in the run.

    Raises:
        UserError: the run is not finished, damaged, or of another network type; or as `export_network`.
    """
    run = TrainingRun.open(run_folder)
    is_regression = run.configuration.network_type == "regression"
    network = regression_task.load_network(run) if is_regression else diffusion_task.load_network(run)
    begun = run.configuration
    return export_network(
        run_folder, network, make_plan(run, network, train or begun.train, inference or begun.inference)
    )


def export_network(run_folder: Path, network: Network | RegressionNetwork, plan: ExportPlan) -> ExportRecord:
    """Exports a network into a training run.

    Args:
        run_folder: the training run.
        network: with its speech encoder and the weights that are to be used; on any device, it is not changed.
        plan: the settings, for the network's type.

    Returns:
        What is kept about it in the run, with how far the exported graph and the network agree.

    Raises:
        UserError: the files cannot be written, or graph and network do not agree; there is no graph then.
    """
    finish_export(run_folder)
    try:
        with temporary_folder(run_folder, "export") as stage:
            write_network_facts(stage, plan.info)
            parity = _export_checked(_exported(network, plan), stage / ONNX_FILE, run_folder)
            encoder = network.encoder
            record = ExportRecord(
                encoder=encoders.record(encoder) if isinstance(encoder, encoders.SpeechEncoder) else {},
                has_emotions=plan.has_emotions,
                sampling=plan.sampling if isinstance(plan, DiffusionPlan) else None,
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


def _exported(network: Network | RegressionNetwork, plan: ExportPlan) -> Exported:
    if isinstance(network, Network) and isinstance(plan, DiffusionPlan):
        return exported_diffusion(network, plan)
    assert isinstance(network, RegressionNetwork)
    assert isinstance(plan, RegressionPlan)
    return exported_regression(network, plan)


def _export_checked(exported: Exported, path: Path, run_folder: Path) -> Parity:
    """Writes the graph and compares it with the network; where they differ, no graph stays in the run either."""
    LOGGER.info("exporting the network to ONNX")
    export_graph(exported.module, exported.info, exported.inputs, path)
    LOGGER.info("comparing the exported network with the trained one")
    try:
        parity = exported.measure(path)
        if not parity.is_good:
            raise UserError(
                f"the exported network differs from the trained one by {parity.largest}, more than {parity.limit}",
                path=run_folder / DEPLOY_FOLDER / ONNX_FILE,
                hint="The weights are kept. Look at the loss: weights that grew without bounds export badly.",
            )
    except UserError:
        for stale in (RECORD_FILE, f"{DEPLOY_FOLDER}/{ONNX_FILE}", f"{DEPLOY_FOLDER}/{_ONNX_DATA}"):
            (run_folder / stale).unlink(missing_ok=True)
        raise
    LOGGER.info("the exported network agrees with the trained one to %s", parity.largest)
    return parity
