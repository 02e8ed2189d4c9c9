"""Deployed models: packs a training run or checks a folder (run_deploy.py), publishes it on a hub and fetches it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from audio2face.cli import parsers
from audio2face.cli.process import open_configuration, run_stage
from audio2face.config import Configuration
from audio2face.console import LOGGER, console, start_logging
from audio2face.extras import install_hint, missing, require
from audio2face.model_folder import DeployedModel, hub, lint
from audio2face.model_folder.model import show_diagnostics
from audio2face.model_folder.trt_info import ONNX_FILE
from audio2face.model_folder.validation import Diagnostics, FileDiagnostics
from audio2face.run_names import resolve_training_run
from audio2face.runs import deployed_model, log_outputs

if TYPE_CHECKING:  # a base installation, which looks over deployed folders, has no torch
    from audio2face.deploy import ExportRecord
    from audio2face.deploy.calibration import PostProcessing


def main(argv: list[str]) -> int:
    """Returns the exit status; user errors raise UserError."""
    args = parsers.parse("deploy", argv)
    start_logging()
    if args.check is not None:
        return check(deployed_model(args.check))
    run = args.training_run_name_full
    configuration = open_configuration("deploy", args.config_name, args.config_file, overrides=args.overrides, run=run)
    target = deploy(configuration, run, export=args.export, force=args.force)
    log_outputs(
        {"Deployed model:": target, "Description:": target / "README.md"},
        [
            f"python run_inference.py {configuration.name} {target.name} --audio YOUR_SPEECH.wav",
            f"python run_evaluate.py {configuration.name} {target.name}",
        ],
    )
    return 0


def deploy(configuration: Configuration, run_name: str, *, export: bool = False, force: bool = False) -> Path:
    """Packages a training run and returns the deployed folder.

    Args:
        configuration: for stage "deploy".
        run_name: the name of the training run: in full, an end or a part of it, or "latest".
        export: first export the weights of the run again.
        force: replace what is deployed.

    Raises:
        UserError: there is no such run, or it cannot be deployed.
    """
    require("deployment", "train")
    from audio2face.deploy import ExportRecord, export_run, finish_export, package_run

    train, inference = configuration.train, configuration.inference
    run = resolve_training_run(run_name, train.TRAIN_OUTPUT_ROOT, configuration.name)
    LOGGER.info("training run %s, configuration %s", run.name, configuration.name)
    finish_export(run)
    record = export_run(run, inference=inference) if export else ExportRecord.open(run)
    _warn_of_other_steps(record, configuration)
    target = train.FINAL_DEPLOY_ROOT / run.name
    package_run(
        run,
        target,
        post_processing(configuration),
        configuration.roots,
        train.PREPROC_ROOT,
        licence=train.MODEL_LICENSE,
        force=force,
    )
    return target


def post_processing(configuration: Configuration) -> PostProcessing:
    """Settings of post-processing: CONFIG, the entries of the user's file, and whether to calibrate the others."""
    from audio2face.deploy.calibration import PostProcessing

    inference = configuration.inference
    return PostProcessing(
        parameters=cast(Mapping[str, Any], inference.CONFIG),
        own=frozenset(configuration.modifiers.get("inference", {}).get("CONFIG", {})),
        calibrate=inference.CALIBRATE_POST_PROCESSING,
    )


def _warn_of_other_steps(record: ExportRecord, configuration: Configuration) -> None:
    from audio2face.deploy.plan import deploy_module

    family = deploy_module(str(configuration.network_type))
    if record.sampling != family.sampler_settings(configuration.train, configuration.inference):
        LOGGER.warning(
            "the network was exported with %s, which the configuration has changed since; --export applies the change",
            record.sampling,
        )


def check(folder: Path) -> int:
    """Prints the findings of the lint of a deployed folder; returns the exit status."""
    model, found = lint(folder)
    faults = Diagnostics(found)
    if model is not None:
        _check_graph(model, faults.for_file(ONNX_FILE))
    show_diagnostics(found, console())
    return 1 if faults.errors else 0


def _check_graph(model: DeployedModel, faults: FileDiagnostics) -> None:
    if "onnx" in missing("train"):
        faults.note("operators and types of the graph are not checked: onnx is not installed", install_hint("train"))
        return
    from audio2face.model_folder.graph import check_deployed_graph

    check_deployed_graph(model, faults)


def push(argv: list[str]) -> int:
    """`audio2face push FOLDER OWNER/NAME`: publishes a deployed model on a hub."""
    args = parsers.parse("push", argv)
    start_logging()
    published = hub.push(deployed_model(args.folder), args.repo_id, private=args.private)
    LOGGER.info("%d files under the licence %s: %s", len(published.files), published.licence, published.url)
    return 0


def pull(argv: list[str]) -> int:
    """`audio2face pull OWNER/NAME FOLDER`: fetches a published model from a hub."""
    args = parsers.parse("pull", argv)
    start_logging()
    target = Path(args.folder)
    licence = hub.pull(args.repo_id, target, revision=args.revision, force=args.force)
    if licence is None:
        LOGGER.warning("%s states no licence: ask its publisher before you pass it on", args.repo_id)
    else:
        LOGGER.info("licence: %s", licence)
    log_outputs({"Model:": target}, [f"python run_inference.py --model {target} --audio YOUR_SPEECH.wav"])
    return 0


if __name__ == "__main__":
    run_stage(main)
