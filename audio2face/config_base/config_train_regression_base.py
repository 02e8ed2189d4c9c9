"""Parameters of `config_train.py` for NETWORK_TYPE "regression".

A parameter set to `common.NAME` is explained in `train_common.py`, and all of them in docs/config_details.md. This file
is not edited: a configuration overrides what differs.
"""

from __future__ import annotations

from typing import Literal

from audio2face.config_base import train_common as common
from audio2face.config_base.types import (
    AudioParamsRegression,
    AugmentRegression,
    Channel,
    Count,
    Emotion,
    FrameRate,
    Identifier,
    NetworkRegression,
    NonNegative,
    OutputFolder,
    PhonemeLanguage,
    Positive,
    SpeechFeatures,
    UnitShare,
)

# --- The run ----------------------------------------------------------------------------------------------

RUN_NAME = common.RUN_NAME
RUN_INFO = common.RUN_INFO
NETWORK_VERSION = common.NETWORK_VERSION
MODEL_LICENSE = common.MODEL_LICENSE

# Which network is trained. Every `config_train.py` must set it, since the parameters depend on it.
# Change it when you want the other network: "regression" is small, fast and for one actor, "diffusion" is
# larger, supports several actors and often looks more alive.
# Read by: training, deployment, inference.
NETWORK_TYPE: Literal["regression"] = "regression"

# The name of the network in the run and the deployed model. NETWORK_TYPE selects the network; a name that
# does not match it is refused.
# Change it when NETWORK_TYPE changes, or omit it, which has the same effect.
# Read by: training (writes it to network_info.json).
NETWORK_NAME: Literal["conv_w2v_autocorr"] = "conv_w2v_autocorr"

PRETRAINED_NET_FPATH = common.PRETRAINED_NET_FPATH
TRAIN_OUTPUT_ROOT = common.TRAIN_OUTPUT_ROOT
FINAL_DEPLOY_ROOT = common.FINAL_DEPLOY_ROOT
TORCH_CACHE_ROOT = common.TORCH_CACHE_ROOT

# --- Artifacts of preprocessing ---------------------------------------------------------------------------

PREPROC_ROOT = common.PREPROC_ROOT
PREPROC_RUN_NAME_FULL = common.PREPROC_RUN_NAME_FULL
SKIN_PCA_COEFFS_FPATH = common.SKIN_PCA_COEFFS_FPATH
SKIN_PCA_SHAPES_FPATH = common.SKIN_PCA_SHAPES_FPATH
TONGUE_PCA_COEFFS_FPATH = common.TONGUE_PCA_COEFFS_FPATH
TONGUE_PCA_SHAPES_FPATH = common.TONGUE_PCA_SHAPES_FPATH
DATA_INFO_FPATH = common.DATA_INFO_FPATH
SHOT_LIST_FPATH = common.SHOT_LIST_FPATH

# --- Training data ----------------------------------------------------------------------------------------

# The channels of the network's output, in order. The networks of the framework need exactly this order.
# Change it when you added a network of your own.
# Read by: training.
TARGET_CHANNELS: list[Channel] = ["skin_coeffs", "tongue_coeffs", "jaw", "eye"]

# Has no effect here: regression trains at the rate of the recorded animation.
# Change it when nothing depends on it; it is kept so that older configurations load.
# Read by: nothing.
TARGET_FPS: FrameRate = 30.0

# Whether jaw, eyes and poses are divided by their scale, so that all channels have the same weight.
# Change it when you added a network of your own; the networks of the framework are made for the default.
# Read by: training.
RESCALE_TARGET_CHANNEL_DATA: bool = False

CLIPS = common.CLIPS
VALIDATION_SHOTS = common.VALIDATION_SHOTS
VALIDATION_FRACTION = common.VALIDATION_FRACTION
AUG_MUTED_SHOTS = common.AUG_MUTED_SHOTS
AUG_MUTED_SKIN_IS_NEUTRAL_FOR_NEUTRAL_EMO = common.AUG_MUTED_SKIN_IS_NEUTRAL_FOR_NEUTRAL_EMO
AUG_MUTED_TONGUE_IS_NEUTRAL = common.AUG_MUTED_TONGUE_IS_NEUTRAL
AUG_MUTED_AUDIO_NOISE_TYPE = common.AUG_MUTED_AUDIO_NOISE_TYPE
AUG_MUTED_AUDIO_NOISE_SCALE = common.AUG_MUTED_AUDIO_NOISE_SCALE
AUG_MUTED_AUDIO_NOISE_LOCAL_SCALE_RANGE = common.AUG_MUTED_AUDIO_NOISE_LOCAL_SCALE_RANGE
SYNTHETIC_SHARE = common.SYNTHETIC_SHARE
SYNTHETIC_EPOCHS = common.SYNTHETIC_EPOCHS
SYNTHETIC_MINUTES = common.SYNTHETIC_MINUTES
SYNTHETIC_SEED = common.SYNTHETIC_SEED
SYNTHETIC_ROOT = common.SYNTHETIC_ROOT
SYNTHETIC_SPEECH_ROOT = common.SYNTHETIC_SPEECH_ROOT
TEACHER_RUN = common.TEACHER_RUN
DISTILLATION_SHARE = common.DISTILLATION_SHARE
DISTILLATION_SPEECH_ROOT = common.DISTILLATION_SPEECH_ROOT
DISTILLATION_ROOT = common.DISTILLATION_ROOT

# Data augmentation of the training set; None, or None for a single entry that allows it, disables it.
# Change it when the network overfits. Pitch shift is for diffusion only.
# Read by: training.
AUGMENT: AugmentRegression = {
    # Width, in frames, of the range of random time shifts of audio and face together.
    "timeshift": 1.0,
}

# --- Emotions ---------------------------------------------------------------------------------------------

SHOT_EMOTION_NAME_FOR_ALL_ZEROS = common.SHOT_EMOTION_NAME_FOR_ALL_ZEROS
DEFAULT_SHOT_EMOTION_NAME = common.DEFAULT_SHOT_EMOTION_NAME

# --- Audio ------------------------------------------------------------------------------------------------

AUDIO_PREPROC_METHOD = common.AUDIO_PREPROC_METHOD
AUDIO_RESAMPLER = common.AUDIO_RESAMPLER

# The network's audio window, in samples.
# Change it when you added a network of your own; the default is 0.52 s with the frame in the middle.
# Read by: training (and the consumer of the deployed model).
AUDIO_PARAMS: AudioParamsRegression = {
    # Length of the window.
    "buffer_len": 8320,
    # Where in the window the middle of the frame lies.
    "buffer_ofs": 4160,
    # Samples per second.
    "samplerate": 16000,
}

# --- Samples ----------------------------------------------------------------------------------------------

# Number of consecutive frames in one sample; the velocity losses need 2 or more.
# Change it when velocity should be compared over longer stretches; memory grows with it.
# Read by: training.
SEQ_LEN: Count = 2

# Frames between the starts of neighbouring samples.
# Change it when epochs take too long.
# Read by: training.
SEQ_STRIDE: Count = 1

# Whether samples with shut eyes are excluded from the loss, so that the network does not learn to blink
# with the voice. Needs SKIN_EYE_DIST_VERTEX_LIST_FPATH.
# Change it when the animation has no blinks.
# Read by: training.
REMOVE_CLOSING_EYE: bool = True

# The distance of the lids, in the mesh's unit (centimetres), up to which eyes count as shut. The y axis of
# the mesh must point up.
# Change it when the mesh has another unit, or the actor narrow eyes.
# Read by: training.
EYE_DIST_THRESHOLD: NonNegative = 0.35

# --- Phonemes ---------------------------------------------------------------------------------------------

# The languages whose phonemes the network is also trained to recognise, which sharpens articulation. Empty
# disables it.
# Change it when the recordings are in other languages than English.
# Read by: training.
PHONEME_FORCING_LANGS: list[PhonemeLanguage] = ["en"]

# Per language: the phoneme recognisers for recordings without phoneme times (PHONEME_TIMES_ROOT). The first
# one that is installed or can be downloaded is used: "pocketsphinx" and "charsiu-en" for English,
# "charsiu-zh" for Chinese. pocketsphinx aligns the words of a text file next to the recording,
# `<recording>.txt`, where there is one.
# Change it when the weights of Charsiu are available, which is more accurate where the words are unknown.
# Read by: training.
PHONEME_DETECTORS: dict[PhonemeLanguage, list[Identifier]] = {
    # English.
    "en": ["pocketsphinx", "charsiu-en"],
    # Chinese.
    "zh": ["charsiu-zh"],
}

# Temperature of the phoneme recogniser's probabilities: above 1 they are softer, below 1 sharper. Phoneme
# times and the results of pocketsphinx, which are always one-hot, stay as they are.
# Change it when the recogniser is confident where it is wrong.
# Read by: training.
PHONEME_PROB_TEMPERATURE: Positive = 1.0

# --- Network ----------------------------------------------------------------------------------------------

# The speech encoder, by its name in the registry: "hubert-base" for diffusion and "wav2vec2-base" for
# regression as in the reference, or "hama", "a2f-phonetic", "logmel", "whisper-tiny.en",
# "whisper-base".
# Change it when its weights are not available ("hama" and "a2f-phonetic" are included), or another encoder
# suits the language better.
# Read by: training.
SPEECH_ENCODER: Identifier = "wav2vec2-base"

SPEECH_ENCODER_LAYERS = common.SPEECH_ENCODER_LAYERS
SPEECH_FEATURE_NOISE = common.SPEECH_FEATURE_NOISE

# How speech features are computed in training: "fast" extracts the features of every window once, before
# training, at a few time shifts, with the encoder in evaluation mode, and keeps them on disk; "exact"
# computes them at every step, with the encoder's dropout on, as the reference does. The features of an
# encoder that is trained itself are computed at every step.
# Change it when disk space is short, or you compare with the reference ("exact").
# Read by: training.
SPEECH_FEATURES: SpeechFeatures = "fast"

# The number of time shifts within AUGMENT["timeshift"], evenly spread, at which the features of every
# window are extracted if SPEECH_FEATURES is "fast". Each takes about 40 kB of disk per frame of animation.
# Change it when the network overfits (more) or disk space is short (fewer).
# Read by: training.
SPEECH_FEATURE_SHIFTS: Count = 2

# The cache folder of speech features. It may be removed when no training runs; missing features are
# extracted again.
# Change it when the workspace is on a slow or small disk.
# Read by: training.
SPEECH_FEATURES_ROOT: OutputFolder = "/workspace/speech_features"

# Sizes and switches of the network.
# Change it when you study the network itself. Weights fit only the values that they were trained with.
# Read by: training.
NETWORK_HYPER_PARAMS: NetworkRegression = {
    # Whether the speech encoder's features are an input.
    "use_w2v_features": True,
    # Whether autocorrelation features (pitch, voicing) are an input.
    "use_autocorr_features": True,
    # Whether the speech encoder is frozen.
    "w2v_freeze": True,
    # Number of the speech encoder's layers that are used.
    "w2v_num_layers": 1,
    # Parameters of the autocorrelation features.
    "autocorr_params": {
        # Values kept per window.
        "num_autocorr": 32,
        # Windows per frame.
        "num_windows": 25,
        # Length of a window, in samples.
        "win_len": 640,
        # Samples between neighbouring windows.
        "win_stride": 320,
        # Strength of the pre-emphasis filter; 0 is none.
        "preemph": 0.0,
        # Whether the mean of each window is removed.
        "remove_dc": True,
        # Window function; None is rectangular.
        "win_func": "hanning",
    },
    # Size of the implicit emotion, a trainable vector per training frame.
    "implicit_emotion_len": 16,
    # Size of the emotion embedding.
    "explicit_emo_emb_len": 8,
}

# Standard deviation of the initial implicit emotions.
# Change it when you study how they form.
# Read by: training.
EMO_INIT_SIGMA: NonNegative = 0.01

# Factor on the learning rate of the implicit emotions.
# Change it when mouths stay too average (larger) or follow the implicit emotion instead of the audio
# (smaller).
# Read by: training.
EMO_LR_MULT: NonNegative = 1.0

# Whether the deployed table of implicit emotions contains the frames of CLIPS only. Frame numbers then
# count from the first frame kept, which matters for source_frame.
# Change it when CLIPS use a small part of the shots.
# Read by: training.
COMPACTIFY_IMPLICIT_EMO_DB: bool = False

# --- Optimisation -----------------------------------------------------------------------------------------

# Samples per batch.
# Change it when memory is short (smaller) or the accelerator is idle (larger, with a larger LEARNING_RATE).
# Read by: training.
BATCH_SIZE: Count = 32

# The number of batches over which gradients are accumulated for one optimizer step.
# Change it when the loss is noisy or memory does not allow a larger BATCH_SIZE (more), or data are few
# (fewer).
# Read by: training.
GRADIENT_ACCUMULATION_STEPS: Count = 1

REFERENCE_ACCUMULATION = common.REFERENCE_ACCUMULATION

# The number of passes over the training set.
# Change it when the loss still falls at the end (more) or the data are many (fewer).
# Read by: training.
NUM_EPOCHS: Count = 50

# The learning rate of the optimizer.
# Change it when the loss jumps (smaller) or hardly moves (larger).
# Read by: training.
LEARNING_RATE: Positive = 0.0002

# The factor on the learning rate after every epoch.
# Change it when NUM_EPOCHS changes much: over more epochs a value nearer to 1.
# Read by: training.
LR_STEP_GAMMA: UnitShare = 0.994

GRADIENT_CLIP_NORM = common.GRADIENT_CLIP_NORM
EMA_DECAY = common.EMA_DECAY

# --- Losses -----------------------------------------------------------------------------------------------

# Weight of the mean squared error between prediction and recording, over all channels. None disables a
# loss.
# Change it when the other losses should count more (smaller).
# Read by: training.
LOSS_MSE_ALPHA: NonNegative | None = 1.0

# Weight of the difference in velocity (change from frame to frame).
# Change it when the face trembles (larger) or is sluggish (smaller).
# Read by: training.
LOSS_MOTION_ALPHA: NonNegative | None = 10.0

# Weight of the smoothness of implicit emotions over time.
# Change it when the mouth follows the implicit emotion instead of the audio (larger).
# Read by: training.
LOSS_EMO_REG_ALPHA: NonNegative | None = 1.0

# Weight of the difference in the distance between the lips; needs SKIN_LIP_DIST_VERTEX_LIST_FPATH.
# Change it when lips do not close on p, b, m (larger) or chatter (smaller).
# Read by: training.
LOSS_LIP_DIST_ALPHA: NonNegative | None = 100.0

# The decay of that loss with the opening of the recorded lips: its weight is exp(-value * opening). 0 gives
# open and closed lips the same weight.
# Change it when only closed lips should count (larger) or open mouths lack precision (smaller).
# Read by: training.
LOSS_LIP_DIST_EXP: NonNegative = 1.0

# Factors on the lip distance loss by emotion; an emotion that is not named has 1.
# Change it when lips close well in some emotions only.
# Read by: training.
LOSS_LIP_DIST_EMO_WEIGHTS: dict[Emotion, NonNegative] | None = None

LOSS_LIP_POSITION_ALPHA = common.LOSS_LIP_POSITION_ALPHA

# Weight of the difference in the lips' thickness; needs SKIN_LIP_SIZE_VERTEX_LIST_FPATH. None: off.
# Change it when lips are not pressed or rolled in as recorded.
# Read by: training.
LOSS_LIP_SIZE_ALPHA: NonNegative | None = None

# Factors on the lip size loss by emotion; an emotion that is not named has 1.
# Change it when lips look right in some emotions only.
# Read by: training.
LOSS_LIP_SIZE_EMO_WEIGHTS: dict[Emotion, NonNegative] | None = None

# Weight of stillness in silence ("vol" is loudness).
# Change it when the face trembles in pauses (larger) or starts late (smaller).
# Read by: training.
LOSS_VOL_STAB_REG_ALPHA: NonNegative | None = 100.0

# The decay of that loss with loudness: its weight is exp(-value * mean absolute sample).
# Change it when the recordings are very quiet (larger) or noisy in pauses (smaller).
# Read by: training.
LOSS_VOL_STAB_REG_EXP: NonNegative = 5000.0

# Weight of phoneme recognition. None disables both phoneme losses, regardless of LOSS_PHONEME_MOTION_ALPHA.
# Change it when the recordings' language is neither English nor Chinese (None).
# Read by: training.
LOSS_PHONEME_ALPHA: NonNegative | None = 0.1

# The weight of silence among the phonemes.
# Change it when the recordings are mostly pauses (smaller).
# Read by: training.
LOSS_PHONEME_SIL_WEIGHT: NonNegative = 1.0

# Weight of the difference in the phonemes' velocity (change from frame to frame).
# Change it when articulation is mushy (larger).
# Read by: training.
LOSS_PHONEME_MOTION_ALPHA: NonNegative | None = 0.05

# Whether that loss compares changes of logits with changes of probabilities, as the reference does, instead
# of probabilities with probabilities.
# Change it when you compare with the reference.
# Read by: training.
REFERENCE_PHONEME_MOTION: bool = False

# --- Runtime ----------------------------------------------------------------------------------------------

# The number of steps between two lines of the log, counted from the start of each epoch.
# Change it when you want more or fewer lines.
# Read by: training.
LOG_PERIOD: Count = 50

# The number of epochs between two validations; the last epoch is always validated.
# Change it when that takes a large part of the time (larger) or the best moment is missed (smaller).
# Read by: training.
VALIDATION_PERIOD_EPOCHS: Count = 5

TRACKERS = common.TRACKERS
EXPORTED_WEIGHTS = common.EXPORTED_WEIGHTS
REPRODUCIBLE = common.REPRODUCIBLE
RNG_SEED_TORCH = common.RNG_SEED_TORCH
RNG_SEED_DATASET = common.RNG_SEED_DATASET
AUDIO_DATA_CACHING = common.AUDIO_DATA_CACHING

# Whether recognised phonemes stay in memory.
# Change it when hours of audio do not fit.
# Read by: training.
PHONEME_DATA_CACHING: bool = True

# Has no effect here: targets are coefficients, which always stay in memory.
# Change it when nothing depends on it; it is kept so that older configurations load.
# Read by: nothing.
TARGET_DATA_CACHING: bool = True

TARGET_OBJECTS_TO_CUDA = common.TARGET_OBJECTS_TO_CUDA
DEVICE = common.DEVICE
PRECISION = common.PRECISION
COMPILE = common.COMPILE
CHECKPOINT_PERIOD_MINUTES = common.CHECKPOINT_PERIOD_MINUTES
TIME_LIMIT_MINUTES = common.TIME_LIMIT_MINUTES
