"""What a configuration and an actor's data mean for the regression network and its losses: sizes, weights, heights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from audio2face.config import TrainRegression
from audio2face.console import LOGGER
from audio2face.errors import UserError
from audio2face.networks.autocorrelation import AutocorrelationSettings
from audio2face.networks.encoders import SpeechEncoder
from audio2face.networks.regression import RegressionSettings, SpeechSteps
from audio2face.networks.regression_objective import RegressionWeights, SkinShapes
from audio2face.training.clips import Clip
from audio2face.training.data import TrainingData
from audio2face.training.phoneme_tables import PhonemeTables
from audio2face.training.sources import ActorSource


def network_settings(
    train: TrainRegression, data: TrainingData, encoder: SpeechEncoder | None, phonemes: PhonemeTables | None
) -> RegressionSettings:
    """Sizes of the network, and what it hears.

    Raises:
        UserError: they do not fit each other.
    """
    counts, sizes, audio = data.sources[0].info.counts, train.NETWORK_HYPER_PARAMS, train.AUDIO_PARAMS
    try:
        return RegressionSettings(
            skin_size=counts["num_shapes_skin"],
            tongue_size=counts["num_shapes_tongue"],
            jaw_size=3 * counts["num_keypoints_jaw"],
            eye_size=2 * counts["num_angles_eye"],
            emotions=len(data.emotions.names),
            implicit_emotion_len=sizes["implicit_emotion_len"],
            explicit_emo_emb_len=sizes["explicit_emo_emb_len"],
            samples=audio["buffer_len"],
            samplerate=audio["samplerate"],
            speech=None if encoder is None else SpeechSteps.of(encoder, audio["buffer_len"]),
            autocorrelation=AutocorrelationSettings(**sizes["autocorr_params"]),
            use_autocorrelation=sizes["use_autocorr_features"],
            phonemes={} if phonemes is None else {name: len(phones) for name, phones in phonemes.phones.items()},
        )
    except ValueError as error:
        raise UserError(
            str(error), hint="Correct NETWORK_HYPER_PARAMS or AUDIO_PARAMS in config_train.py; the defaults fit."
        ) from error


def loss_weights(train: TrainRegression) -> RegressionWeights:
    """How much the losses count."""
    return RegressionWeights(
        mse=train.LOSS_MSE_ALPHA,
        motion=train.LOSS_MOTION_ALPHA,
        emotion=train.LOSS_EMO_REG_ALPHA,
        lip_distance=train.LOSS_LIP_DIST_ALPHA,
        lip_distance_exponent=train.LOSS_LIP_DIST_EXP,
        lip_size=train.LOSS_LIP_SIZE_ALPHA,
        quiet=train.LOSS_VOL_STAB_REG_ALPHA,
        quiet_exponent=train.LOSS_VOL_STAB_REG_EXP,
        phoneme=train.LOSS_PHONEME_ALPHA,
        phoneme_silence=train.LOSS_PHONEME_SIL_WEIGHT,
        phoneme_motion=train.LOSS_PHONEME_MOTION_ALPHA,
        reference_phoneme_motion=train.REFERENCE_PHONEME_MOTION,
        eye_threshold=train.EYE_DIST_THRESHOLD if train.REMOVE_CLOSING_EYE else None,
        lip_position=train.LOSS_LIP_POSITION_ALPHA,
    )


def skin_shapes(source: ActorSource, train: TrainRegression) -> SkinShapes:
    """What the losses need of the actor's skin; says which of them its data do not allow."""
    lips, size, lids = source.raw.lip_dist, source.raw.lip_size, source.raw.eye_dist
    needs = (
        ("LOSS_LIP_DIST_ALPHA", lips, "SKIN_LIP_DIST_VERTEX_LIST_FPATH"),
        ("LOSS_LIP_POSITION_ALPHA", lips, "SKIN_LIP_DIST_VERTEX_LIST_FPATH"),
        ("LOSS_LIP_SIZE_ALPHA", size, "SKIN_LIP_SIZE_VERTEX_LIST_FPATH"),
        ("REMOVE_CLOSING_EYE", lids, "SKIN_EYE_DIST_VERTEX_LIST_FPATH"),
    )
    for switch, found, parameter in needs:
        if getattr(train, switch) and found is None:
            LOGGER.warning("%s: without %s, %s has no effect", source.actor, parameter, switch)
    pairs = [lips, None if size is None else size.upper_lip, None if size is None else size.lower_lip, lids]
    return SkinShapes(
        torch.from_numpy(source.skin.mean),
        torch.from_numpy(source.skin.matrix),
        *(None if pair is None else torch.from_numpy(np.stack([pair.upper, pair.lower])) for pair in pairs),
    )


def emotion_weights(weights: Mapping[str, float] | None, clips: Sequence[Clip]) -> Tensor | None:
    """A factor for each clip by its emotion, `[clips]`; None where all are 1."""
    return None if weights is None else torch.tensor([weights.get(clip.shot.emotion, 1.0) for clip in clips])
