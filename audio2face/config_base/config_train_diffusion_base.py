"""Parameters of `config_train.py` for NETWORK_TYPE "diffusion".

A parameter set to `common.NAME` is declared, typed and explained in `train_common.py`; docs/config_details.md explains
all of them on one page. This file is not edited: a configuration overrides what differs.
"""

from __future__ import annotations

from typing import Annotated, Literal

from audio2face.config_base import train_common as common
from audio2face.config_base.types import (
    Actor,
    AudioParamsDiffusion,
    AugmentDiffusion,
    Channel,
    Count,
    DiffusionRate,
    Emotion,
    Identifier,
    NetworkDiffusion,
    NoiseSchedule,
    NonNegative,
    Positive,
    Respacing,
    StreamingWindow,
    workspace_file,
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
NETWORK_TYPE: Literal["diffusion"] = "diffusion"

# The name of the network in the run and the deployed model. NETWORK_TYPE selects the network; a name that
# does not match it is refused.
# Change it when NETWORK_TYPE changes, or omit it, which has the same effect.
# Read by: training (writes it to network_info.json).
NETWORK_NAME: Literal["diffusion_rnn"] = "diffusion_rnn"

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

# Per actor: the mean geometry, instead of that of the preprocessing run.
# Change it when you made it by other means.
# Read by: training, inference.
MEAN_GEOMETRY_FPATH: dict[Actor, Annotated[str, workspace_file(".npy", "train", "inference")]] = {}

DATA_INFO_FPATH = common.DATA_INFO_FPATH
SHOT_LIST_FPATH = common.SHOT_LIST_FPATH

# --- Training data ----------------------------------------------------------------------------------------

# The channels of the network's output, in order. The networks of the framework need exactly this order.
# Change it when you added a network of your own.
# Read by: training.
TARGET_CHANNELS: list[Channel] = ["skin_pose", "tongue_pose", "jaw", "eye"]

# Frames per second of the network's output. Training resamples recorded animation to this rate, and
# finished animations may have any rate (run_inference.py --fps).
# Change it when the consumer plays 30 frames per second; that halves the work. hubert_feature_dim follows
# by itself.
# Read by: training, ONNX export, inference.
TARGET_FPS: DiffusionRate = 60.0

# Whether jaw, eyes and poses are divided by their scale, so that all channels have the same weight.
# Change it when you added a network of your own; the networks of the framework are made for the default.
# Read by: training.
RESCALE_TARGET_CHANNEL_DATA: bool = True

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

# Shortest segment, in frames of TARGET_FPS. At least 0.2 s, which the speech encoder needs.
# Change it when sentences are shorter than half a second.
# Read by: training.
SUBSEGMENT_MIN_FRAME: Count = 30

# Longest segment, in frames of TARGET_FPS.
# Change it when memory is short (smaller) or long sentences drift (larger).
# Read by: training.
SUBSEGMENT_MAX_FRAME: Count = 600

# --- Emotions ---------------------------------------------------------------------------------------------

SHOT_EMOTION_NAME_FOR_ALL_ZEROS = common.SHOT_EMOTION_NAME_FOR_ALL_ZEROS
DEFAULT_SHOT_EMOTION_NAME = common.DEFAULT_SHOT_EMOTION_NAME

# --- Audio ------------------------------------------------------------------------------------------------

AUDIO_PREPROC_METHOD = common.AUDIO_PREPROC_METHOD
AUDIO_RESAMPLER = common.AUDIO_RESAMPLER

# The network's audio window, in samples.
# Change it when STREAMING_CFG changes; buffer_len must be its window_size.
# Read by: training (only samplerate; the rest is for the consumer of the deployed model).
AUDIO_PARAMS: AudioParamsDiffusion = {
    # Length of the window that a streaming consumer fills.
    "buffer_len": 16000,
    # Samples of silence before the first window.
    "padding_left": 16000,
    # Samples of silence after the last window.
    "padding_right": 16000,
    # Samples per second.
    "samplerate": 16000,
}

# Whether inference passes audio unchanged (True) or with zero mean and unit variance (False). Training
# always passes it unchanged.
# Change it when you compare with an encoder that was trained on standardised audio.
# Read by: inference.
NO_STANDARDIZE_AUDIO: bool = True

# --- Network ----------------------------------------------------------------------------------------------

# The speech encoder, by its name in the registry: "hubert-base" for diffusion and "wav2vec2-base" for
# regression as in the reference, or "hama", "a2f-phonetic", "logmel", "whisper-tiny.en",
# "whisper-base".
# Change it when its weights are not available ("hama" and "a2f-phonetic" are included), or another encoder
# suits the language better.
# Read by: training.
SPEECH_ENCODER: Identifier = "hubert-base"

SPEECH_ENCODER_LAYERS = common.SPEECH_ENCODER_LAYERS
SPEECH_FEATURE_NOISE = common.SPEECH_FEATURE_NOISE

# Sizes and switches of the network.
# Change it when you study the network itself. Weights fit only the values that they were trained with.
# Read by: training.
NETWORK_HYPER_PARAMS: NetworkDiffusion = {
    # Width of the features that enter the recurrent layers.
    "feature_dim": 256,
    # Size of the jaw's latent vector.
    "jaw_latent_dim": 15,
    # Size of the tongue's latent vector.
    "tongue_latent_dim": 10,
    # Size of the eyes' latent vector.
    "eye_latent_dim": 4,
    # Width of the recurrent layers.
    "gru_feature_dim": 256,
    # Number of recurrent layers.
    "num_gru_layers": 2,
    # Size of the emotion embedding.
    "emo_embedding_dim": 32,
    # Size of the actor embedding.
    "actor_embedding_dim": 32,
    # Width of the speech features of one frame: 768 at 60 frames per second, 1536 (two steps) at 30; left
    # out, it follows TARGET_FPS. Speech encoders other than "hubert-base" bring their own width instead.
    "hubert_feature_dim": 768,
}

# Number of timesteps of the diffusion process in training.
# Change it when you study diffusion itself; weights do not fit another number.
# Read by: training, inference, ONNX export.
DIFFUSION_STEPS: Count = 1000

# The noise schedule over the timesteps.
# Change it when you study diffusion itself.
# Read by: training, inference, ONNX export.
DIFFUSION_NOISE_SCHEDULE: NoiseSchedule = "cosine"

# The timesteps that training samples from, such as "100" for 100 evenly spread ones. Empty: all.
# Change it when you study diffusion itself. The timesteps of inference are set in config_inference.py.
# Read by: training.
TIMESTEP_RESPACING: Respacing = ""

# How a streaming consumer cuts audio into overlapping windows, for each TARGET_FPS.
# Change it when latency matters more than quality (shorter windows). block_frame_size is half of
# window_size.
# Read by: inference, ONNX export.
STREAMING_CFG: dict[str, StreamingWindow] = {
    # Windows at 60 frames per second.
    "60": {
        # Samples of silence before the audio.
        "audio_pad_left": 16000,
        # Samples of silence after the audio.
        "audio_pad_right": 16000,
        # Length of a window, in samples.
        "window_size": 16000,
        # Frames dropped at the start of a window.
        "left_truncate": 15,
        # Frames dropped at the end of a window.
        "right_truncate": 15,
        # Frames kept from a window.
        "block_frame_size": 30,
    },
    # Windows at 30 frames per second.
    "30": {
        # Samples of silence before the audio.
        "audio_pad_left": 16000,
        # Samples of silence after the audio.
        "audio_pad_right": 16000,
        # Length of a window, in samples.
        "window_size": 16000,
        # Frames dropped at the start of a window.
        "left_truncate": 7,
        # Frames dropped at the end of a window.
        "right_truncate": 8,
        # Frames kept from a window.
        "block_frame_size": 15,
    },
}

# --- Optimisation -----------------------------------------------------------------------------------------

# Clips per batch.
# Change it when memory allows more than one; GRADIENT_ACCUMULATION_STEPS gives the same effect with less
# memory.
# Read by: training.
BATCH_SIZE: Count = 1

# Whether the segments of a batch have their own lengths and are padded to the longest. Otherwise all have
# the length sampled for the first, or that of the shortest clip among them, without padding. Whole clips
# always have their own lengths.
# Change it when clips differ so strongly in length that a short one often cuts the others.
# Read by: training.
PAD_BATCHES: bool = False

# The number of batches over which gradients are accumulated for one optimizer step.
# Change it when the loss is noisy or memory does not allow a larger BATCH_SIZE (more), or data are few
# (fewer).
# Read by: training.
GRADIENT_ACCUMULATION_STEPS: Count = 4

REFERENCE_ACCUMULATION = common.REFERENCE_ACCUMULATION

# The number of passes over the training set.
# Change it when the loss still falls at the end (more) or the data are many (fewer). Below 11 the learning
# rate never leaves its warm-up.
# Read by: training.
NUM_EPOCHS: Count = 400

# The learning rate of the optimizer.
# Change it when the loss jumps (smaller) or hardly moves (larger).
# Read by: training.
LEARNING_RATE: Positive = 5e-5

GRADIENT_CLIP_NORM = common.GRADIENT_CLIP_NORM
EMA_DECAY = common.EMA_DECAY

# --- Losses -----------------------------------------------------------------------------------------------

# Has no effect here: diffusion has LOSS_VELOCITY_ALPHA.
# Change it when nothing depends on it; it is kept so that older configurations load.
# Read by: nothing.
LOSS_MOTION_ALPHA: NonNegative | None = 0.0

# Weight of the difference in the skin's velocity (change from frame to frame), on normalised values. None
# disables a loss.
# Change it when the face trembles (larger).
# Read by: training.
LOSS_VELOCITY_ALPHA: NonNegative | None = 0.0

# Weight of the smoothness of the upper face, which SKIN_EYE_DIST_VERTEX_LIST_FPATH locates.
# Change it when brows and forehead tremble (larger) or are lifeless (smaller).
# Read by: training.
LOSS_EXP_SMOOTH_ALPHA: NonNegative | None = 25.0

# Factor on the tongue's values in the main loss. It is applied before squaring, so that the loss is
# multiplied by its square.
# Change it when the tongue is imprecise (larger).
# Read by: training.
TONGUE_WEIGHT: NonNegative = 0.1

# Factor on the jaw's values in the main loss. It is applied before squaring, so that the loss is multiplied
# by its square.
# Change it when the lower teeth are imprecise (larger).
# Read by: training.
JAW_WEIGHT: NonNegative = 1.0

# Weight of the difference in the distance between the lips; needs SKIN_LIP_DIST_VERTEX_LIST_FPATH.
# Change it when lips do not close on p, b, m (larger) or chatter (smaller).
# Read by: training.
LOSS_LIP_DIST_ALPHA: NonNegative | None = 1e-5

# The decay of that loss with the opening of the recorded lips: its weight is exp(-value * opening). 0 gives
# open and closed lips the same weight.
# Change it when only closed lips should count (larger) or open mouths lack precision (smaller).
# Read by: training.
LOSS_LIP_DIST_EXP: NonNegative = 10.0

# Has no effect here: factors by emotion are for regression.
# Change it when nothing depends on it; it is kept so that older configurations load.
# Read by: nothing.
LOSS_LIP_DIST_EMO_WEIGHTS: dict[Emotion, NonNegative] | None = None

LOSS_LIP_POSITION_ALPHA = common.LOSS_LIP_POSITION_ALPHA

# --- Runtime ----------------------------------------------------------------------------------------------

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

# Has no effect here: diffusion uses no phonemes.
# Change it when nothing depends on it; it is kept so that older configurations load.
# Read by: nothing.
PHONEME_DATA_CACHING: bool = True

# Has no effect here: only the frames of a batch are assembled.
# Change it when nothing depends on it; it is kept so that older configurations load.
# Read by: nothing.
TARGET_DATA_CACHING: bool = False

TARGET_OBJECTS_TO_CUDA = common.TARGET_OBJECTS_TO_CUDA
DEVICE = common.DEVICE
PRECISION = common.PRECISION
COMPILE = common.COMPILE
CHECKPOINT_PERIOD_MINUTES = common.CHECKPOINT_PERIOD_MINUTES
TIME_LIMIT_MINUTES = common.TIME_LIMIT_MINUTES
