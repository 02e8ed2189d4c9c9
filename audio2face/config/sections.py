"""The sections of a configuration as code receives them.

Written by tools/document_config.py from `audio2face.config_base`; change that. Values are frozen: tuples for lists,
dictionaries that refuse changes, paths resolved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from audio2face.config_base.types import (
    AnimationParameters,
    AnimationParametersRegression,
    AudioMethod,
    AudioParamsDiffusion,
    AudioParamsRegression,
    AudioParamsStreaming,
    AudioResampler,
    AugmentDiffusion,
    AugmentRegression,
    BodyPart,
    Channel,
    Device,
    ExportedWeights,
    InferenceMode,
    NetworkDiffusion,
    NetworkRegression,
    NetworkStreaming,
    NoiseSchedule,
    NoiseType,
    PhonemeLanguage,
    Precision,
    SkinBasis,
    SpeechFeatures,
    StreamingWindow,
    TrackerName,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """The parameters of `config_dataset_base`."""

    AUDIO_ROOT: Mapping[str, Path]
    PHONEME_TIMES_ROOT: Mapping[str, Path]
    SKIN_CACHE_ROOT: Mapping[str, Path]
    SKIN_CACHE_CHANNEL: Mapping[str, str]
    SKIN_NEUTRAL_FPATH: Mapping[str, Path]
    SKIN_NEUTRAL_INFERENCE_FPATH: Mapping[str, Path]
    SKIN_LIP_OPEN_POSE_DELTA_FPATH: Mapping[str, Path]
    SKIN_EYE_CLOSE_POSE_DELTA_FPATH: Mapping[str, Path]
    SKIN_LIP_DIST_VERTEX_LIST_FPATH: Mapping[str, Path]
    SKIN_LIP_SIZE_VERTEX_LIST_FPATH: Mapping[str, Path]
    SKIN_EYE_DIST_VERTEX_LIST_FPATH: Mapping[str, Path]
    SKIN_FACES_FPATH: Mapping[str, Path]
    EXTRA_PARTS_FPATH: Mapping[str, Path]
    TONGUE_CACHE_ROOT: Mapping[str, Path]
    TONGUE_CACHE_CHANNEL: Mapping[str, str]
    TONGUE_NEUTRAL_FPATH: Mapping[str, Path]
    TONGUE_NEUTRAL_INFERENCE_FPATH: Mapping[str, Path]
    TONGUE_RIGID_VERTEX_LIST_FPATH: Mapping[str, Path]
    TONGUE_FACES_FPATH: Mapping[str, Path]
    JAW_KEYPOINTS_NEUTRAL_FPATH: Mapping[str, Path]
    JAW_ANIM_DATA_FPATH: Mapping[str, Path]
    EYE_ANIM_DATA_FPATH: Mapping[str, Path]
    EYE_BLINK_KEYS_FPATH: Mapping[str, Path]
    EYE_SACCADE_ROTATIONS_FPATH: Mapping[str, Path]
    BLENDSHAPE_SKIN_FPATH: Mapping[str, Path]
    BLENDSHAPE_SKIN_CONFIG_FPATH: Mapping[str, Path]
    BLENDSHAPE_TONGUE_FPATH: Mapping[str, Path]
    BLENDSHAPE_TONGUE_CONFIG_FPATH: Mapping[str, Path]
    SHOT_EMOTION_NAMES: tuple[str, ...]
    SHOT_EMOTION_MAP: tuple[tuple[str, str, str], ...]
    CACHE_FPS: Mapping[str, float]
    ACTOR_NAMES: tuple[str, ...]
    TRANSFORM_SCALE: Mapping[str, Mapping[BodyPart, float]]
    TEST_SHOTS: Mapping[str, tuple[str, ...]]
    TEST_FRACTION: float
    SPLIT_SEED: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Preproc:
    """The parameters of `config_preproc_base`."""

    RUN_NAME: str
    RUN_INFO: str
    PREPROC_OUTPUT_ROOT: Path
    SKIN_BASIS: SkinBasis
    SKIN_PRUNE_CACHE_ROOT: Mapping[str, Path]
    SKIN_PRUNE_MESH_MASK_FPATH: Mapping[str, Path]
    SKIN_CACHE_SHOTS: Mapping[str, tuple[str, ...]]
    SKIN_PRUNE_CACHE_SHOTS: Mapping[str, tuple[str, ...]]
    SKIN_PRUNE_SIM_DIST: float
    PRUNE_STRIDE: int
    SKIN_SELECT_DISTINCT_MAX_ITER: int
    SKIN_SELECT_DISTINCT_NUM_SEEDS: int
    SKIN_SELECT_DISTINCT_VARIANCE_THRESHOLD: float
    SKIN_PCA_VARIANCE_THRESHOLD: float
    SKIN_FORCE_COMPONENTS: Mapping[str, int]
    TONGUE_CACHE_SHOTS: Mapping[str, tuple[str, ...]]
    TONGUE_PRUNE_SIM_DIST: float
    TONGUE_PCA_VARIANCE_THRESHOLD: float
    TONGUE_FORCE_COMPONENTS: Mapping[str, int]
    DEFAULT_JAW_KEYPOINTS_SHAPE: tuple[int, int]
    DEFAULT_EYE_BLINK_KEYS_SHAPE: tuple[int]
    DEFAULT_EYE_SACCADE_ROT_SHAPE: tuple[int, int]
    DEFAULT_TONGUE_PCA_SHAPE: tuple[int, int, Literal[3]]
    VERBOSE: bool
    KEEP_INTERMEDIATES: bool
    NUM_WORKERS: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRegression:
    """The parameters of `config_train_regression_base`."""

    RUN_NAME: str
    RUN_INFO: str
    NETWORK_VERSION: str
    MODEL_LICENSE: str | None
    NETWORK_TYPE: Literal["regression"]
    NETWORK_NAME: Literal["conv_w2v_autocorr"]
    PRETRAINED_NET_FPATH: Path | None
    TRAIN_OUTPUT_ROOT: Path
    FINAL_DEPLOY_ROOT: Path
    TORCH_CACHE_ROOT: Path
    PREPROC_ROOT: Path
    PREPROC_RUN_NAME_FULL: Mapping[str, str]
    SKIN_PCA_COEFFS_FPATH: Mapping[str, Path]
    SKIN_PCA_SHAPES_FPATH: Mapping[str, Path]
    TONGUE_PCA_COEFFS_FPATH: Mapping[str, Path]
    TONGUE_PCA_SHAPES_FPATH: Mapping[str, Path]
    DATA_INFO_FPATH: Mapping[str, Path]
    SHOT_LIST_FPATH: Mapping[str, Path]
    TARGET_CHANNELS: tuple[Channel, ...]
    TARGET_FPS: float
    RESCALE_TARGET_CHANNEL_DATA: bool
    CLIPS: tuple[tuple[str, str, tuple[int, int], str, str, str, float], ...]
    VALIDATION_SHOTS: Mapping[str, tuple[str, ...]]
    VALIDATION_FRACTION: float
    AUG_MUTED_SHOTS: tuple[tuple[str, tuple[str, int], int, str], ...]
    AUG_MUTED_SKIN_IS_NEUTRAL_FOR_NEUTRAL_EMO: bool
    AUG_MUTED_TONGUE_IS_NEUTRAL: bool
    AUG_MUTED_AUDIO_NOISE_TYPE: NoiseType | None
    AUG_MUTED_AUDIO_NOISE_SCALE: float
    AUG_MUTED_AUDIO_NOISE_LOCAL_SCALE_RANGE: tuple[float, float] | None
    SYNTHETIC_SHARE: float
    SYNTHETIC_EPOCHS: int
    SYNTHETIC_MINUTES: float
    SYNTHETIC_SEED: int
    SYNTHETIC_ROOT: Path
    SYNTHETIC_SPEECH_ROOT: Path | None
    TEACHER_RUN: str | None
    DISTILLATION_SHARE: float
    DISTILLATION_SPEECH_ROOT: Path | None
    DISTILLATION_ROOT: Path
    AUGMENT: AugmentRegression
    SHOT_EMOTION_NAME_FOR_ALL_ZEROS: str | None
    DEFAULT_SHOT_EMOTION_NAME: str
    AUDIO_PREPROC_METHOD: AudioMethod
    AUDIO_RESAMPLER: AudioResampler
    AUDIO_PARAMS: AudioParamsRegression
    SEQ_LEN: int
    SEQ_STRIDE: int
    REMOVE_CLOSING_EYE: bool
    EYE_DIST_THRESHOLD: float
    PHONEME_FORCING_LANGS: tuple[PhonemeLanguage, ...]
    PHONEME_DETECTORS: Mapping[PhonemeLanguage, tuple[str, ...]]
    PHONEME_PROB_TEMPERATURE: float
    SPEECH_ENCODER: str
    SPEECH_ENCODER_LAYERS: tuple[int, ...]
    SPEECH_FEATURE_NOISE: float
    SPEECH_FEATURES: SpeechFeatures
    SPEECH_FEATURE_SHIFTS: int
    SPEECH_FEATURES_ROOT: Path
    NETWORK_HYPER_PARAMS: NetworkRegression
    EMO_INIT_SIGMA: float
    EMO_LR_MULT: float
    COMPACTIFY_IMPLICIT_EMO_DB: bool
    BATCH_SIZE: int
    GRADIENT_ACCUMULATION_STEPS: int
    REFERENCE_ACCUMULATION: bool
    NUM_EPOCHS: int
    LEARNING_RATE: float
    LR_STEP_GAMMA: float
    GRADIENT_CLIP_NORM: float | None
    EMA_DECAY: float | None
    LOSS_MSE_ALPHA: float | None
    LOSS_MOTION_ALPHA: float | None
    LOSS_EMO_REG_ALPHA: float | None
    LOSS_LIP_DIST_ALPHA: float | None
    LOSS_LIP_DIST_EXP: float
    LOSS_LIP_DIST_EMO_WEIGHTS: Mapping[str, float] | None
    LOSS_LIP_POSITION_ALPHA: float | None
    LOSS_LIP_SIZE_ALPHA: float | None
    LOSS_LIP_SIZE_EMO_WEIGHTS: Mapping[str, float] | None
    LOSS_VOL_STAB_REG_ALPHA: float | None
    LOSS_VOL_STAB_REG_EXP: float
    LOSS_PHONEME_ALPHA: float | None
    LOSS_PHONEME_SIL_WEIGHT: float
    LOSS_PHONEME_MOTION_ALPHA: float | None
    REFERENCE_PHONEME_MOTION: bool
    LOG_PERIOD: int
    VALIDATION_PERIOD_EPOCHS: int
    TRACKERS: tuple[TrackerName, ...]
    EXPORTED_WEIGHTS: ExportedWeights
    REPRODUCIBLE: bool
    RNG_SEED_TORCH: int
    RNG_SEED_DATASET: int
    AUDIO_DATA_CACHING: bool
    PHONEME_DATA_CACHING: bool
    TARGET_DATA_CACHING: bool
    TARGET_OBJECTS_TO_CUDA: bool
    DEVICE: Device
    PRECISION: Precision
    COMPILE: bool
    CHECKPOINT_PERIOD_MINUTES: float
    TIME_LIMIT_MINUTES: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainDiffusion:
    """The parameters of `config_train_diffusion_base`."""

    RUN_NAME: str
    RUN_INFO: str
    NETWORK_VERSION: str
    MODEL_LICENSE: str | None
    NETWORK_TYPE: Literal["diffusion"]
    NETWORK_NAME: Literal["diffusion_rnn"]
    PRETRAINED_NET_FPATH: Path | None
    TRAIN_OUTPUT_ROOT: Path
    FINAL_DEPLOY_ROOT: Path
    TORCH_CACHE_ROOT: Path
    PREPROC_ROOT: Path
    PREPROC_RUN_NAME_FULL: Mapping[str, str]
    SKIN_PCA_COEFFS_FPATH: Mapping[str, Path]
    SKIN_PCA_SHAPES_FPATH: Mapping[str, Path]
    TONGUE_PCA_COEFFS_FPATH: Mapping[str, Path]
    TONGUE_PCA_SHAPES_FPATH: Mapping[str, Path]
    MEAN_GEOMETRY_FPATH: Mapping[str, Path]
    DATA_INFO_FPATH: Mapping[str, Path]
    SHOT_LIST_FPATH: Mapping[str, Path]
    TARGET_CHANNELS: tuple[Channel, ...]
    TARGET_FPS: float
    RESCALE_TARGET_CHANNEL_DATA: bool
    CLIPS: tuple[tuple[str, str, tuple[int, int], str, str, str, float], ...]
    VALIDATION_SHOTS: Mapping[str, tuple[str, ...]]
    VALIDATION_FRACTION: float
    AUG_MUTED_SHOTS: tuple[tuple[str, tuple[str, int], int, str], ...]
    AUG_MUTED_SKIN_IS_NEUTRAL_FOR_NEUTRAL_EMO: bool
    AUG_MUTED_TONGUE_IS_NEUTRAL: bool
    AUG_MUTED_AUDIO_NOISE_TYPE: NoiseType | None
    AUG_MUTED_AUDIO_NOISE_SCALE: float
    AUG_MUTED_AUDIO_NOISE_LOCAL_SCALE_RANGE: tuple[float, float] | None
    SYNTHETIC_SHARE: float
    SYNTHETIC_EPOCHS: int
    SYNTHETIC_MINUTES: float
    SYNTHETIC_SEED: int
    SYNTHETIC_ROOT: Path
    SYNTHETIC_SPEECH_ROOT: Path | None
    TEACHER_RUN: str | None
    DISTILLATION_SHARE: float
    DISTILLATION_SPEECH_ROOT: Path | None
    DISTILLATION_ROOT: Path
    AUGMENT: AugmentDiffusion
    TRAIN_ON_RANDOM_SUBSEGMENT: bool
    SUBSEGMENT_MIN_FRAME: int
    SUBSEGMENT_MAX_FRAME: int
    SHOT_EMOTION_NAME_FOR_ALL_ZEROS: str | None
    DEFAULT_SHOT_EMOTION_NAME: str
    AUDIO_PREPROC_METHOD: AudioMethod
    AUDIO_RESAMPLER: AudioResampler
    AUDIO_PARAMS: AudioParamsDiffusion
    NO_STANDARDIZE_AUDIO: bool
    SPEECH_ENCODER: str
    SPEECH_ENCODER_LAYERS: tuple[int, ...]
    SPEECH_FEATURE_NOISE: float
    NETWORK_HYPER_PARAMS: NetworkDiffusion
    DIFFUSION_STEPS: int
    DIFFUSION_NOISE_SCHEDULE: NoiseSchedule
    TIMESTEP_RESPACING: str
    STREAMING_CFG: Mapping[str, StreamingWindow]
    BATCH_SIZE: int
    PAD_BATCHES: bool
    GRADIENT_ACCUMULATION_STEPS: int
    REFERENCE_ACCUMULATION: bool
    NUM_EPOCHS: int
    LEARNING_RATE: float
    GRADIENT_CLIP_NORM: float | None
    EMA_DECAY: float | None
    LOSS_MOTION_ALPHA: float | None
    LOSS_VELOCITY_ALPHA: float | None
    LOSS_EXP_SMOOTH_ALPHA: float | None
    TONGUE_WEIGHT: float
    JAW_WEIGHT: float
    LOSS_LIP_DIST_ALPHA: float | None
    LOSS_LIP_DIST_EXP: float
    LOSS_LIP_DIST_EMO_WEIGHTS: Mapping[str, float] | None
    LOSS_LIP_POSITION_ALPHA: float | None
    LOG_PERIOD: int
    VALIDATION_PERIOD_EPOCHS: int
    TRACKERS: tuple[TrackerName, ...]
    EXPORTED_WEIGHTS: ExportedWeights
    REPRODUCIBLE: bool
    RNG_SEED_TORCH: int
    RNG_SEED_DATASET: int
    AUDIO_DATA_CACHING: bool
    PHONEME_DATA_CACHING: bool
    TARGET_DATA_CACHING: bool
    TARGET_OBJECTS_TO_CUDA: bool
    DEVICE: Device
    PRECISION: Precision
    COMPILE: bool
    CHECKPOINT_PERIOD_MINUTES: float
    TIME_LIMIT_MINUTES: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainStreaming:
    """The parameters of `config_train_streaming_base`."""

    RUN_NAME: str
    RUN_INFO: str
    NETWORK_VERSION: str
    MODEL_LICENSE: str | None
    NETWORK_TYPE: Literal["streaming"]
    NETWORK_NAME: Literal["streaming_tcn"]
    PRETRAINED_NET_FPATH: Path | None
    TRAIN_OUTPUT_ROOT: Path
    FINAL_DEPLOY_ROOT: Path
    TORCH_CACHE_ROOT: Path
    PREPROC_ROOT: Path
    PREPROC_RUN_NAME_FULL: Mapping[str, str]
    SKIN_PCA_COEFFS_FPATH: Mapping[str, Path]
    SKIN_PCA_SHAPES_FPATH: Mapping[str, Path]
    TONGUE_PCA_COEFFS_FPATH: Mapping[str, Path]
    TONGUE_PCA_SHAPES_FPATH: Mapping[str, Path]
    DATA_INFO_FPATH: Mapping[str, Path]
    SHOT_LIST_FPATH: Mapping[str, Path]
    TARGET_CHANNELS: tuple[Channel, ...]
    TARGET_FPS: float
    LOOK_AHEAD_FRAMES: int
    CLIPS: tuple[tuple[str, str, tuple[int, int], str, str, str, float], ...]
    VALIDATION_SHOTS: Mapping[str, tuple[str, ...]]
    VALIDATION_FRACTION: float
    AUG_MUTED_SHOTS: tuple[tuple[str, tuple[str, int], int, str], ...]
    AUG_MUTED_SKIN_IS_NEUTRAL_FOR_NEUTRAL_EMO: bool
    AUG_MUTED_TONGUE_IS_NEUTRAL: bool
    AUG_MUTED_AUDIO_NOISE_TYPE: NoiseType | None
    AUG_MUTED_AUDIO_NOISE_SCALE: float
    AUG_MUTED_AUDIO_NOISE_LOCAL_SCALE_RANGE: tuple[float, float] | None
    SYNTHETIC_SHARE: float
    SYNTHETIC_EPOCHS: int
    SYNTHETIC_MINUTES: float
    SYNTHETIC_SEED: int
    SYNTHETIC_ROOT: Path
    SYNTHETIC_SPEECH_ROOT: Path | None
    TEACHER_RUN: str | None
    DISTILLATION_SHARE: float
    DISTILLATION_SPEECH_ROOT: Path | None
    DISTILLATION_ROOT: Path
    AUGMENT: AugmentDiffusion
    TRAIN_ON_RANDOM_SUBSEGMENT: bool
    SUBSEGMENT_MIN_FRAME: int
    SUBSEGMENT_MAX_FRAME: int
    SHOT_EMOTION_NAME_FOR_ALL_ZEROS: str | None
    DEFAULT_SHOT_EMOTION_NAME: str
    AUDIO_PREPROC_METHOD: AudioMethod
    AUDIO_RESAMPLER: AudioResampler
    AUDIO_PARAMS: AudioParamsStreaming
    SPEECH_ENCODER: str
    SPEECH_ENCODER_LAYERS: tuple[int, ...]
    SPEECH_FEATURE_NOISE: float
    SPEECH_ENCODER_LR_MULT: float
    NETWORK_HYPER_PARAMS: NetworkStreaming
    BATCH_SIZE: int
    PAD_BATCHES: bool
    GRADIENT_ACCUMULATION_STEPS: int
    REFERENCE_ACCUMULATION: bool
    NUM_EPOCHS: int
    LEARNING_RATE: float
    GRADIENT_CLIP_NORM: float | None
    EMA_DECAY: float | None
    LOSS_MSE_ALPHA: float | None
    LOSS_VELOCITY_ALPHA: float | None
    LOSS_LIP_POSITION_ALPHA: float | None
    LOSS_LIP_DIST_ALPHA: float | None
    LOSS_LIP_DIST_EXP: float
    TONGUE_WEIGHT: float
    JAW_WEIGHT: float
    LOG_PERIOD: int
    VALIDATION_PERIOD_EPOCHS: int
    TRACKERS: tuple[TrackerName, ...]
    EXPORTED_WEIGHTS: ExportedWeights
    REPRODUCIBLE: bool
    RNG_SEED_TORCH: int
    RNG_SEED_DATASET: int
    AUDIO_DATA_CACHING: bool
    TARGET_OBJECTS_TO_CUDA: bool
    DEVICE: Device
    PRECISION: Precision
    COMPILE: bool
    CHECKPOINT_PERIOD_MINUTES: float
    TIME_LIMIT_MINUTES: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceRegression:
    """The parameters of `config_inference_regression_base`."""

    CONFIG: AnimationParametersRegression
    CALIBRATE_POST_PROCESSING: bool
    AUDIO_PATH: Path | None
    ACTOR_NAME: str | None
    EMOTION_LABEL: str | None
    INFERENCE_OUTPUT_ROOT: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceDiffusion:
    """The parameters of `config_inference_diffusion_base`."""

    CONFIG: AnimationParameters
    CALIBRATE_POST_PROCESSING: bool
    TIMESTEP_RESPACING: str | None
    NUM_DIFFUSION_STEPS: int
    SKIP_STEPS: int
    USE_DDIM: bool
    DETERMINISTIC_NOISE_PATH: Path | None
    AUDIO_PATH: Path | None
    CONDITION: str | None
    ACTOR_NAME: str | None
    EMOTION_LABEL: str | None
    INFERENCE_MODE: InferenceMode | None
    INFERENCE_OUTPUT_ROOT: Path
    OUTPUT_MAYA_CACHE: bool
    OUTPUT_NPY_FILE: bool
    USE_PER_FRAME_EMO_LABEL: bool
    USE_EXTERNAL_NOISE_INPUT: bool
    USE_DELTA_OUTPUT: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceStreaming:
    """The parameters of `config_inference_streaming_base`."""

    CONFIG: AnimationParameters
    CALIBRATE_POST_PROCESSING: bool
    AUDIO_PATH: Path | None
    ACTOR_NAME: str | None
    EMOTION_LABEL: str | None
    INFERENCE_OUTPUT_ROOT: Path
