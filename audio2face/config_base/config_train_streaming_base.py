"""Parameters of `config_train.py` for NETWORK_TYPE "streaming".

A parameter set to `common.NAME` is declared, typed and explained in `train_common.py`; docs/config_details.md explains
all of them on one page. This file is not edited: a configuration overrides what differs.
"""

from __future__ import annotations

from typing import Literal

from audio2face.config_base import train_common as common
from audio2face.config_base.types import (
    AudioParamsStreaming,
    AugmentDiffusion,
    Channel,
    Count,
    Identifier,
    LookAhead,
    NetworkStreaming,
    NonNegative,
    Positive,
    StreamingRate,
)

# --- The run --------------------------------------------------------------------------------------------

RUN_NAME = common.RUN_NAME
RUN_INFO = common.RUN_INFO
NETWORK_VERSION = common.NETWORK_VERSION
MODEL_LICENSE = common.MODEL_LICENSE

# Which network is trained. Every `config_train.py` must set it, since the parameters depend on it.
# Change it when you want another network: "streaming" is for live speech, and makes a frame within two frames;
# "regression" and "diffusion" are for recordings.
# Read by: training, deployment, inference.
NETWORK_TYPE: Literal["streaming"] = "streaming"

# The name of the network in the run and the deployed model. NETWORK_TYPE selects the network; a name that
# does not match it is refused.
# Change it when NETWORK_TYPE changes, or omit it, which has the same effect.
# Read by: training (writes it to network_info.json).
NETWORK_NAME: Literal["streaming_tcn"] = "streaming_tcn"

PRETRAINED_NET_FPATH = common.PRETRAINED_NET_FPATH
TRAIN_OUTPUT_ROOT = common.TRAIN_OUTPUT_ROOT
FINAL_DEPLOY_ROOT = common.FINAL_DEPLOY_ROOT
TORCH_CACHE_ROOT = common.TORCH_CACHE_ROOT

# --- Artifacts of preprocessing -------------------------------------------------------------------------

PREPROC_ROOT = common.PREPROC_ROOT
PREPROC_RUN_NAME_FULL = common.PREPROC_RUN_NAME_FULL
SKIN_PCA_COEFFS_FPATH = common.SKIN_PCA_COEFFS_FPATH
SKIN_PCA_SHAPES_FPATH = common.SKIN_PCA_SHAPES_FPATH
TONGUE_PCA_COEFFS_FPATH = common.TONGUE_PCA_COEFFS_FPATH
TONGUE_PCA_SHAPES_FPATH = common.TONGUE_PCA_SHAPES_FPATH
DATA_INFO_FPATH = common.DATA_INFO_FPATH
SHOT_LIST_FPATH = common.SHOT_LIST_FPATH

# --- Training data --------------------------------------------------------------------------------------

# The channels of the network's output, in order. The networks of the framework need exactly this order.
# Change it when you added a network of your own.
# Read by: training.
TARGET_CHANNELS: list[Channel] = ["skin_coeffs", "tongue_coeffs", "jaw", "eye"]

# Frames per second of the network's output: 24, 25, 30, 48, 50 or 60. Training resamples recorded animation to this
# rate, and finished animations may have any rate (run_inference.py --fps).
# Change it when the consumer plays another rate; the work grows with it.
# Read by: training, ONNX export, inference.
TARGET_FPS: StreamingRate = 30.0

# Frames from the time of a frame to the last sample that it depends on: the whole wait, that of the speech encoder
# included. 2 frames of 30 per second are 66 ms, 4 of 60 as well.
# Change it when the answer must come sooner (fewer), or the wait does not matter (more; docs/quality.md has the
# quality of each).
# Read by: training, ONNX export, inference.
LOOK_AHEAD_FRAMES: LookAhead = 2

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
# Change it when the network should serve voices unlike the recorded ones (wider pitch shift), or just the
# recorded voice (`"pitch_shift": None`).
# Read by: training.
AUGMENT: AugmentDiffusion = {
    # Width, in frames, of the range of random time shifts of audio and face together.
    "timeshift": 0.0,
    # Raises or lowers the voice without changing its timing; None disables it.
    "pitch_shift": {
        # Lowest shift, in semitones.
        "min_semitones": -2.0,
        # Highest shift, in semitones.
        "max_semitones": 2.0,
        # The fraction of the items that are shifted.
        "p": 0.2,
    },
}

# Whether each item of an epoch is a random segment of a clip instead of the whole clip.
# Change it when all clips are short.
# Read by: training.
TRAIN_ON_RANDOM_SUBSEGMENT: bool = True

# Shortest segment, in frames of TARGET_FPS. Half a second of audio before it is read as well.
# Change it when sentences are shorter than two seconds.
# Read by: training.
SUBSEGMENT_MIN_FRAME: Count = 60

# Longest segment, in frames of TARGET_FPS.
# Change it when memory is short (smaller) or long sentences drift (larger).
# Read by: training.
SUBSEGMENT_MAX_FRAME: Count = 90

# --- Emotions -------------------------------------------------------------------------------------------

SHOT_EMOTION_NAME_FOR_ALL_ZEROS = common.SHOT_EMOTION_NAME_FOR_ALL_ZEROS
DEFAULT_SHOT_EMOTION_NAME = common.DEFAULT_SHOT_EMOTION_NAME

# --- Audio ----------------------------------------------------------------------------------------------

AUDIO_PREPROC_METHOD = common.AUDIO_PREPROC_METHOD
AUDIO_RESAMPLER = common.AUDIO_RESAMPLER

# The network's audio. The window of a frame follows from TARGET_FPS and LOOK_AHEAD_FRAMES.
# Change it when nothing depends on it: the speech encoder takes this rate.
# Read by: training, ONNX export, inference.
AUDIO_PARAMS: AudioParamsStreaming = {
    # Samples per second.
    "samplerate": 16000,
}

# --- Network --------------------------------------------------------------------------------------------

# The speech encoder, by its name in the registry. It must be causal, and carry its state from step to step:
# "a2f-phonetic", or "logmel-causal", a smaller one that is trained from scratch with the face.
# Change it when the recordings are hours, or you added such an encoder.
# Read by: training.
SPEECH_ENCODER: Identifier = "a2f-phonetic"

SPEECH_ENCODER_LAYERS = common.SPEECH_ENCODER_LAYERS
SPEECH_FEATURE_NOISE = common.SPEECH_FEATURE_NOISE

# The learning rate of a pretrained speech encoder, as a fraction of LEARNING_RATE; 0 keeps its weights as they are.
# One without pretrained weights is trained at LEARNING_RATE.
# Change it when other voices suffer from the fit to the recorded ones (smaller, or 0), or the recordings are
# hours (larger).
# Read by: training.
SPEECH_ENCODER_LR_MULT: NonNegative = 0.0

# Sizes of the network.
# Change it when you study the network itself. Weights fit only the values that they were trained with.
# Read by: training.
NETWORK_HYPER_PARAMS: NetworkStreaming = {
    # Features of each layer.
    "width": 96,
    # Frames between the taps of each layer, of which each has three.
    "dilations": [1, 2, 4],
    # Probability that a feature is left out behind each layer, in training.
    "dropout": 0.1,
}

# --- Optimisation ---------------------------------------------------------------------------------------

# Segments per batch.
# Change it when clips are long and many (larger).
# Read by: training.
BATCH_SIZE: Count = 8

# Whether the segments of a batch have their own lengths and are padded to the longest. Otherwise all have
# the length sampled for the first, or that of the shortest clip among them, without padding. Whole clips
# always have their own lengths.
# Change it when clips differ so strongly in length that a short one often cuts the others.
# Read by: training.
PAD_BATCHES: bool = False

# The number of batches over which gradients are accumulated for one optimizer step.
# Change it when the loss is noisy or memory does not allow a larger BATCH_SIZE (more).
# Read by: training.
GRADIENT_ACCUMULATION_STEPS: Count = 1

REFERENCE_ACCUMULATION = common.REFERENCE_ACCUMULATION

# The number of passes over the training set; each takes one segment of every clip.
# Change it when the loss still falls at the end (more) or the data are many (fewer).
# Read by: training.
NUM_EPOCHS: Count = 100

# The learning rate of the optimizer at the start; it falls to a fiftieth over half a cosine.
# Change it when the loss jumps (smaller) or hardly moves (larger).
# Read by: training.
LEARNING_RATE: Positive = 2e-3

GRADIENT_CLIP_NORM = common.GRADIENT_CLIP_NORM
EMA_DECAY = common.EMA_DECAY

# --- Losses ---------------------------------------------------------------------------------------------

# Weight of the squared error of coefficients, jaw and eyes, each relative to its variance. None disables a loss.
# Change it when the whole face matters more than the lips (larger).
# Read by: training.
LOSS_MSE_ALPHA: NonNegative | None = 0.3

# Weight of the squared error of their change from frame to frame, in the same unit.
# Change it when the face trembles (larger).
# Read by: training.
LOSS_VELOCITY_ALPHA: NonNegative | None = 1.0

LOSS_LIP_POSITION_ALPHA = common.LOSS_LIP_POSITION_ALPHA

# Weight of the squared difference in the distance between the lips, in centimetres; needs
# SKIN_LIP_DIST_VERTEX_LIST_FPATH.
# Change it when lips do not close on p, b, m (larger) or chatter (smaller).
# Read by: training.
LOSS_LIP_DIST_ALPHA: NonNegative | None = 10.0

# The decay of that loss with the opening of the recorded lips: its weight is exp(-value * opening). 0 gives
# open and closed lips the same weight.
# Change it when only closed lips should count (larger) or open mouths lack precision (smaller).
# Read by: training.
LOSS_LIP_DIST_EXP: NonNegative = 0.0

# Factor on the tongue's errors in the first two losses.
# Change it when the tongue is imprecise (larger).
# Read by: training.
TONGUE_WEIGHT: NonNegative = 0.3

# Factor on the jaw's errors in the first two losses.
# Change it when the lower teeth are imprecise (larger).
# Read by: training.
JAW_WEIGHT: NonNegative = 1.0

# --- Runtime --------------------------------------------------------------------------------------------

# The number of steps between two lines of the log, counted from the start of each epoch.
# Change it when you want more or fewer lines.
# Read by: training.
LOG_PERIOD: Count = 10

# The number of epochs between two validations; the last epoch is always validated.
# Change it when that takes a large part of the time (larger) or the best moment is missed (smaller).
# Read by: training.
VALIDATION_PERIOD_EPOCHS: Count = 10

TRACKERS = common.TRACKERS
EXPORTED_WEIGHTS = common.EXPORTED_WEIGHTS
REPRODUCIBLE = common.REPRODUCIBLE
RNG_SEED_TORCH = common.RNG_SEED_TORCH
RNG_SEED_DATASET = common.RNG_SEED_DATASET
AUDIO_DATA_CACHING = common.AUDIO_DATA_CACHING
TARGET_OBJECTS_TO_CUDA = common.TARGET_OBJECTS_TO_CUDA
DEVICE = common.DEVICE
PRECISION = common.PRECISION
COMPILE = common.COMPILE
CHECKPOINT_PERIOD_MINUTES = common.CHECKPOINT_PERIOD_MINUTES
TIME_LIMIT_MINUTES = common.TIME_LIMIT_MINUTES
