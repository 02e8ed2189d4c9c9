"""Exports the network of a training run into the run: `deploy/` for consumers, `export.json` about it."""

from __future__ import annotations

from pathlib import Path

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
from audio2face.model_folder.trt_info import ONNX_FILE
from audio2face.model_folder.writer import write_network_facts
from audio2face.networks import encoders
from audio2face.networks.diffusion_rnn import Network
from audio2face.networks.regression import RegressionNetwork
from audio2face.training import diffusion_task, regression_task
from audio2face.training.training_run import TrainingRun

DEPLOY_FOLDER = "deploy"


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
    folder = run_folder / DEPLOY_FOLDER
    (run_folder / RECORD_FILE).unlink(missing_ok=True)  # until the new graph has been checked
    write_network_facts(folder, plan.info)
    parity = _export_checked(_exported(network, plan), folder / ONNX_FILE)
    encoder = network.encoder
    record = ExportRecord(
        encoder=encoders.record(encoder) if isinstance(encoder, encoders.SpeechEncoder) else {},
        has_emotions=plan.has_emotions,
        sampling=plan.sampling if isinstance(plan, DiffusionPlan) else None,
        parity=parity,
    )
    record.save(run_folder)
    return record


def _exported(network: Network | RegressionNetwork, plan: ExportPlan) -> Exported:
    if isinstance(network, Network) and isinstance(plan, DiffusionPlan):
        return exported_diffusion(network, plan)
    assert isinstance(network, RegressionNetwork)
    assert isinstance(plan, RegressionPlan)
    return exported_regression(network, plan)


def _export_checked(exported: Exported, path: Path) -> Parity:
    """Writes the graph and compares it with the network; what does not pass is removed."""
    try:
        LOGGER.info("exporting the network to ONNX")
        export_graph(exported.module, exported.info, exported.inputs, path)
        LOGGER.info("comparing the exported network with the trained one")
        parity = exported.measure(path)
        if not parity.is_good:
            raise UserError(
                f"the exported network differs from the trained one by {parity.largest}, more than {parity.limit}",
                path=path,
                hint="The weights are kept. Look at the loss: weights that grew without bounds export badly.",
            )
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    LOGGER.info("the exported network agrees with the trained one to %s", parity.largest)
    return parity
