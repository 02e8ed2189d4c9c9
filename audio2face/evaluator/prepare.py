"""Training runs made ready for evaluation: their deployed folder, and the variants of their animation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from audio2face.animation import parameter_ranges
from audio2face.config import Roots
from audio2face.config_base.types import OWN_PARAMETERS
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
        emotions=model.info.emotions,
        zero_emotion=run.configuration.train.SHOT_EMOTION_NAME_FOR_ALL_ZEROS,
        default_emotion=run.configuration.train.DEFAULT_SHOT_EMOTION_NAME,
        parameters={actor.name: variants(actor.config.parameters, uncalibrated) for actor in model.actors},
        seed=seed,
    )
    return PreparedRun(run=run, model=model, settings=settings)


def check_same_face(runs: Sequence[PreparedRun], actors: Iterable[str]) -> None:
    """Refuses runs that cannot be scored on the same shots.

    Args:
        runs: the runs, the first of which the shots fit.
        actors: whose shots they are.

    Raises:
        UserError: a run lacks an actor, or its face has other vertices or key points of the jaw.
    """
    first = runs[0]
    for run, actor in product(runs[1:], actors):
        if actor not in run.model.info.identities:
            raise UserError(
                f"training run {run.name} has no actor {actor!r}, whose shots {first.name} is evaluated on",
                hint="Compare runs of the same actors; evaluate others one by one.",
            )
        if _counts(run, actor) != _counts(first, actor):
            raise UserError(
                f"the face of actor {actor!r} in training run {run.name} has other vertices or key points than in "
                f"{first.name}",
                hint="Compare runs that were trained on the same mesh.",
            )


def _counts(run: PreparedRun, actor: str) -> list[int]:
    deployed = run.model.actor(actor)
    return [len(points) for points in (deployed.neutral_skin, deployed.neutral_tongue, deployed.array("neutral_jaw"))]


def variants(
    deployed: Mapping[str, float], uncalibrated: Mapping[str, float] | None
) -> dict[Variant, dict[str, float]]:
    """Animation parameters by variant.

    Args:
        deployed: those of the deployed folder.
        uncalibrated: those of the configuration without calibration; None: left out.
    """
    names, neutral = parameter_ranges(), {**NEUTRAL, **dict.fromkeys(OWN_PARAMETERS, 0.0)}
    found: dict[Variant, dict[str, float]] = {
        "finished": {name: deployed[name] for name in names},
        "network output": {name: neutral.get(name, deployed[name]) for name in names},
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
