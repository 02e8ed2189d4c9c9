"""Exports the network of a training run into the run: `deploy/` for consumers, `export.json` about it."""

from __future__ import annotations

from pathlib import Path

from audio2face.config import InferenceDiffusion, TrainDiffusion
from audio2face.console import LOGGER
from audio2face.deploy.graph import export_graph, make_sampler
from audio2face.deploy.parity import LIMIT_MM, Parity, measure_parity
from audio2face.deploy.plan import ExportPlan, make_plan
from audio2face.deploy.record import RECORD_FILE, ExportRecord
from audio2face.errors import UserError
from audio2face.model_folder import DiffusionInfo
from audio2face.model_folder.trt_info import ONNX_FILE
from audio2face.model_folder.writer import write_network_facts
from audio2face.networks import encoders
from audio2face.networks.diffusion_rnn import Network
from audio2face.networks.diffusion_sampling import WindowSampler
from audio2face.training.diffusion_task import load_network
from audio2face.training.training_run import TrainingRun

DEPLOY_FOLDER = "deploy"


def export_run(run_folder: Path, network: Network, plan: ExportPlan) -> ExportRecord:
    """Exports a network into a training run.

    Args:
        run_folder: the training run.
        network: with its speech encoder and the weights that are to be used; on any device, it is not changed.
        plan: the settings.

    Returns:
        What is kept about it in the run, with how far the exported graph and the network agree.

    Raises:
        UserError: the files cannot be written, or graph and network do not agree; there is no graph then.
    """
    info = plan.info
    folder = run_folder / DEPLOY_FOLDER
    (run_folder / RECORD_FILE).unlink(missing_ok=True)  # until the new graph has been checked
    write_network_facts(folder, info)
    parity = _export_checked(make_sampler(network, plan), info, folder / ONNX_FILE)
    encoder = network.encoder
    record = ExportRecord(
        encoder=encoders.record(encoder) if isinstance(encoder, encoders.SpeechEncoder) else {},
        has_emotions=plan.has_emotions,
        sampling=plan.sampling,
        parity=parity,
    )
    record.save(run_folder)
    return record


def _export_checked(sampler: WindowSampler, info: DiffusionInfo, path: Path) -> Parity:
    """Writes the graph and compares it with the network; what does not pass is removed."""
    try:
        LOGGER.info("exporting the network to ONNX")
        export_graph(sampler, info, path)
        LOGGER.info("comparing the exported network with the trained one")
        parity = measure_parity(sampler, info, path)
        if not parity.is_good:
            raise UserError(
                f"the exported network differs from the trained one by {parity.largest_mm:.3g} mm, more than "
                f"{LIMIT_MM:g}",
                path=path,
                hint="The weights are kept. Look at the loss: weights that grew without bounds export badly.",
            )
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    LOGGER.info("the exported network agrees with the trained one to %.2g mm", parity.largest_mm)
    return parity


def export_again(run_folder: Path, inference: InferenceDiffusion | None = None) -> ExportRecord:
    """Exports the weights of a finished training run into the run.

    Args:
        run_folder: the training run.
        inference: which steps the graph goes through; None: as configured when the run was begun.

    Returns:
        What is kept about the export in the run.

    Raises:
        UserError: the run is not finished, damaged, or of another network type; or as `export_run`.
    """
    run = TrainingRun.open(run_folder)
    configuration = run.configuration
    train, sampled = configuration.train, inference or configuration.inference
    if not isinstance(train, TrainDiffusion) or not isinstance(sampled, InferenceDiffusion):
        raise UserError(
            f"holds a network of type {configuration.network_type!r}, expected 'diffusion'", path=run_folder
        )
    network = load_network(run)
    return export_run(run_folder, network, make_plan(configuration.dataset, train, sampled, network.settings))
