"""The animation parameters of each actor of a deployed folder, calibrated on the validation set of its training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from audio2face.console import LOGGER
from audio2face.dataset import ActorDataset
from audio2face.dataset.emotions import EmotionVectors
from audio2face.deploy.calibration import calibrate
from audio2face.deploy.calibration_report import ActorCalibration, measure, summary_lines
from audio2face.deploy.held_out_motion import HeldOutReader, choose_clips
from audio2face.deploy.neutral import Choice, PostProcessing, values_of
from audio2face.errors import UserError
from audio2face.inference import NetworkSession, open_graph
from audio2face.model_folder import DeployedModel
from audio2face.preproc.artifacts import PreprocArtifacts
from audio2face.training.data.actors import ActorSource
from audio2face.training.run_folder import Origin, TrainingRun, ValidationClip, read_validation

_UNRECORDED = "the training run does not record which shots it held out (an earlier version made it)"
_NONE_HELD_OUT = "training held out no shot of this actor"
_GONE = "recordings or caches of the held-out shots are no longer where training found them"


def calibrate_actors(
    model: DeployedModel,
    run: TrainingRun,
    artifacts: Mapping[str, PreprocArtifacts],
    origins: Mapping[str, Origin],
    post: PostProcessing,
) -> dict[str, ActorCalibration]:
    """Calibrates and evaluates the animation parameters of all actors on the validation set.

    Args:
        model: the deployed folder, with any parameters.
        run: the training run.
        artifacts: the preprocessing run of each actor.
        origins: the data that each actor was trained from.
        post: settings of post-processing.

    Raises:
        UserError: the network cannot be loaded, or a record of the run is damaged.
    """
    clips = read_validation(run.path, run.configuration.roots)
    found, graph = {}, None
    for actor in model.info.identities:
        chosen = choose_clips(clips or (), actor, frame_by_frame=model.info.windows().hop == 1)
        if not chosen:
            found[actor] = _neutral(post, _UNRECORDED if clips is None else _NONE_HELD_OUT)
        else:
            graph = open_graph(model) if graph is None else graph
            source = ActorSource(
                actor, artifacts[actor], origins[actor].files, ActorDataset.open(actor, run.configuration.dataset)
            )
            found[actor] = _calibrated(model, run, source, chosen, post, graph)
        for line in summary_lines(actor, found[actor]):
            LOGGER.info("%s", line)
    return found


def _calibrated(
    model: DeployedModel,
    run: TrainingRun,
    source: ActorSource,
    clips: Sequence[ValidationClip],
    post: PostProcessing,
    graph: NetworkSession,
) -> ActorCalibration:
    vocabulary = run.configuration.dataset.SHOT_EMOTION_NAMES
    emotions = EmotionVectors.from_vocabulary(vocabulary, run.configuration.train.SHOT_EMOTION_NAME_FOR_ALL_ZEROS)
    start = post.start()
    try:
        motion = HeldOutReader(model, source, emotions, graph).read(clips, values_of(start))
    except UserError as error:
        LOGGER.warning("%s: held-out shots cannot be animated: %s", source.actor, error)
        return _neutral(post, "the held-out shots cannot be animated")
    if motion is None:
        return _neutral(post, _GONE)
    choices: Mapping[str, Choice] = calibrate(motion, start) if post.calibrate else start
    return measure(motion, choices, post.parameters)


def _neutral(post: PostProcessing, why: str) -> ActorCalibration:
    then = "post-processing is neutral, but for what the configuration gives"
    return ActorCalibration(post.start(), note=f"{why}: {then if post.calibrate else 'nothing is measured'}")
