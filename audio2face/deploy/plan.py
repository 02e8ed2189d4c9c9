"""What determines an export beside the network's weights, for either type of network."""

from __future__ import annotations

from audio2face.config import Dataset, InferenceDiffusion, InferenceRegression, TrainDiffusion, TrainRegression
from audio2face.console import LOGGER
from audio2face.dataset.emotions import EmotionVectors
from audio2face.deploy.diffusion_plan import DiffusionPlan, make_diffusion_plan
from audio2face.deploy.regression_plan import RegressionPlan, make_regression_plan
from audio2face.errors import UserError
from audio2face.networks.diffusion_rnn import Network
from audio2face.networks.regression import RegressionNetwork
from audio2face.training.training_run import TrainingRun

Train = TrainDiffusion | TrainRegression
Inference = InferenceDiffusion | InferenceRegression
ExportPlan = DiffusionPlan | RegressionPlan


def make_plan(run: TrainingRun, network: Network | RegressionNetwork, train: Train, inference: Inference) -> ExportPlan:
    """Takes the plan from a configuration.

    Args:
        run: the training run; its data set names actors and emotions.
        network: the network.
        train: window and version.
        inference: which steps a diffusion graph goes through.

    Raises:
        UserError: the settings are for another type of network, or do not fit the network.
    """
    dataset = run.configuration.dataset
    _warn_of_stand_in(dataset, train)
    if isinstance(train, TrainDiffusion) and isinstance(inference, InferenceDiffusion) and isinstance(network, Network):
        return make_diffusion_plan(dataset, train, inference, network.settings)
    if isinstance(train, TrainRegression) and isinstance(network, RegressionNetwork):
        return make_regression_plan(run, train, network.settings)
    raise UserError(
        f"holds a network of type {run.configuration.network_type!r}, and the settings are of type "
        f"{train.NETWORK_TYPE!r}",
        path=run.path,
        hint="Name the configuration that it was trained with.",
    )


def _warn_of_stand_in(dataset: Dataset, train: Train) -> None:
    emotions = EmotionVectors.of(dataset.SHOT_EMOTION_NAMES, train.SHOT_EMOTION_NAME_FOR_ALL_ZEROS)
    if emotions.is_inert:
        LOGGER.warning(
            "the data have no emotion besides %r: the deployed model gets one named %r, which does nothing, since the "
            "SDK needs one",
            emotions.zero,
            emotions.names[0],
        )
