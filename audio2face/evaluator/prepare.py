"""Training runs made ready for evaluation: their deployed folder, and the variants of their animation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from audio2face.animation import parameter_ranges
from audio2face.config import Roots
from audio2face.console import LOGGER
from audio2face.dataset import ActorDataset
from audio2face.deploy import finish_export, package_run
from audio2face.deploy.calibration import NEUTRAL, PostProcessing
from audio2face.errors import UserError
from audio2face.evaluator.results import Variant
from audio2face.evaluator.subjects import ModelSettings
from audio2face.io.atomic import file_sha256
from audio2face.model_folder import DeployedModel
from audio2face.model_folder.trt_info import ONNX_FILE
from audio2face.training.run_folder import DEPLOY_FOLDER, TrainingRun


@dataclass(frozen=True, kw_only=True)
class PreparedRun:
    """A training run and what is evaluated of it.

    Attributes:
        run: the training run.
        model: its deployed folder.
        settings: what processes open the model from.
    """

    run: TrainingRun
    model: DeployedModel
    settings: ModelSettings

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.run.path.name

    def dataset(self, actor: str) -> ActorDataset:
        """The raw data of an actor, where training found them.

        Raises:
            UserError: the network was not trained on this actor.
        """
        if actor not in self.model.info.identities:
            raise UserError(
                f"training run {self.name} has no actor {actor!r}",
                hint=f"Give one of its actors: {', '.join(self.model.info.identities)}.",
            )
        return ActorDataset.open(actor, self.run.configuration.dataset)


def prepare_run(
    run_folder: Path, deployed_root: Path, post: PostProcessing, roots: Roots, work: Path, *, quick: bool, seed: int = 0
) -> PreparedRun:
    """Makes a training run ready, with the folder it was deployed to, or with one that is made for the evaluation.

    Args:
        run_folder: the training run.
        deployed_root: FINAL_DEPLOY_ROOT.
        post: post-processing, for a run that is not deployed.
        roots: folders of datasets and workspace.
        work: folder for what is made for the evaluation.
        quick: leaves out the animation with uncalibrated post-processing.
        seed: of the noise of a network that takes noise.

    Raises:
        UserError: the run is unfinished, or cannot be deployed.
    """
    finish_export(run_folder)
    run = TrainingRun.open(run_folder)
    folder = deployed_root / run_folder.name
    if not _is_current(folder, run_folder):
        folder = work / "deployed" / run_folder.name
        if not _is_current(folder, run_folder):
            LOGGER.info("%s is not deployed as it is now: it is packed for the evaluation", run_folder.name)
            preproc_root = run.configuration.train.PREPROC_ROOT
            package_run(run_folder, folder, post, roots, preproc_root, force=True)
    model = DeployedModel.open(folder)
    uncalibrated = None if quick else post.parameters
    settings = ModelSettings(
        run=run_folder.name,
        folder=folder,
        network_type=model.info.type,
        zero_emotion=run.configuration.train.SHOT_EMOTION_NAME_FOR_ALL_ZEROS,
        parameters={actor.name: variants(actor.config.parameters, uncalibrated) for actor in model.actors},
        seed=seed,
    )
    return PreparedRun(run=run, model=model, settings=settings)


def variants(
    deployed: Mapping[str, float], uncalibrated: Mapping[str, float] | None
) -> dict[Variant, dict[str, float]]:
    """Animation parameters by variant.

    Args:
        deployed: those of the deployed folder.
        uncalibrated: those of the configuration without calibration; None: left out.
    """
    names = parameter_ranges()
    found: dict[Variant, dict[str, float]] = {
        "finished": {name: deployed[name] for name in names},
        "network output": {name: NEUTRAL.get(name, deployed[name]) for name in names},
    }
    if uncalibrated is not None:
        # The gain of recordings stays: one pass of the network serves all variants.
        found["uncalibrated"] = {
            name: deployed[name] if name == "input_strength" else uncalibrated[name] for name in names
        }
    return found


def _is_current(folder: Path, run_folder: Path) -> bool:
    """Whether a deployed folder holds the network that the run exported last."""
    own, exported = folder / ONNX_FILE, run_folder / DEPLOY_FOLDER / ONNX_FILE
    return own.is_file() and exported.is_file() and file_sha256(own) == file_sha256(exported)
