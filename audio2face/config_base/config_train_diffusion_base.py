"""Parameters of `config_train.py` for NETWORK_TYPE "diffusion".

The parameters that regression training shares are written out in both modules, so that each reads alone. A
configuration overrides the defaults; this file stays as it is.
"""

from __future__ import annotations

from typing import Annotated, Literal

from audio2face.config_base.types import (
    Actor,
    AudioMethod,
    AudioParamsDiffusion,
    AugmentDiffusion,
    Channel,
    Clip,
    Count,
    Decay,
    Device,
    DiffusionRate,
    Emotion,
    ExportedWeights,
    Fraction,
    Identifier,
    Index,
    MutedShot,
    NetworkDiffusion,
    NoiseSchedule,
    NoiseType,
    NonNegative,
    OutputFolder,
    Positive,
    Precision,
    Respacing,
    Seed,
    StreamingWindow,
    workspace_file,
)

# --- The run ----------------------------------------------------------------------------------------------

# The name of the run: the last part of the run folder's name, after date and time.
# Change it when you want to tell runs apart, by actor or by purpose.
# Read by: training.
RUN_NAME: Identifier = "default"

# A note for yourself, kept in the run folder as `configs/info.txt`.
# Change it when a run has a purpose worth remembering.
# Read by: training.
RUN_INFO: str = ""

# The version that the deployed model reports.
# Change it when you release a new model.
# Read by: training (writes it to network_info.json).
NETWORK_VERSION: str = "0.1"

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

# Pretrained weights that training starts from: `weights.safetensors` of an earlier run, or `weights.pth` of
# the reference. Sizes and speech encoder must match. The actors of a diffusion network may differ: a new
# actor starts as the average of the others (weights of the reference do not name their actors; they count
# as the first of ACTOR_NAMES).
# Change it when you fine-tune an earlier run, or add an actor to it.
# Read by: training.
PRETRAINED_NET_FPATH: Annotated[str, workspace_file("", "train")] | None = None

# The folder in which run folders are created.
# Change it when runs should be written outside the workspace.
# Read by: training (writes), deployment and inference (read).
TRAIN_OUTPUT_ROOT: OutputFolder = "/workspace/output_train"

# The folder in which deployed models are created.
# Change it when models should be written outside the workspace.
# Read by: deployment.
FINAL_DEPLOY_ROOT: OutputFolder = "/workspace/output_deploy"

# The cache folder for downloaded weights of speech encoders and phoneme recognisers.
# Change it when several workspaces share one cache.
# Read by: training.
TORCH_CACHE_ROOT: OutputFolder = "/workspace/torch_cache"

# --- Artifacts of preprocessing ---------------------------------------------------------------------------

# The folder with preprocessing runs.
# Change it when PREPROC_OUTPUT_ROOT was changed.
# Read by: training, deployment, inference.
PREPROC_ROOT: OutputFolder = "/workspace/output_preproc"

# Per actor: the full name of the preprocessing run, such as "250909_135508_example". By default, and with
# "latest", the actor's newest run that was made from the data of this configuration is used. A run that is
# named is used in any case, with a warning where its data differ.
# Change it when a certain run is wanted rather than the newest.
# Read by: training, deployment.
PREPROC_RUN_NAME_FULL: dict[Actor, Identifier] = {}

# Per actor: skin coefficients of all shots, instead of those of the preprocessing run.
# Change it when you made them by other means.
# Read by: training.
SKIN_PCA_COEFFS_FPATH: dict[Actor, Annotated[str, workspace_file(".npz", "train")]] = {}

# Per actor: skin PCA components, instead of those of the preprocessing run.
# Change it when you made them by other means.
# Read by: training, inference.
SKIN_PCA_SHAPES_FPATH: dict[Actor, Annotated[str, workspace_file(".npz", "train", "inference")]] = {}

# Per actor: tongue coefficients of all shots, instead of those of the preprocessing run.
# Change it when you made them by other means.
# Read by: training.
TONGUE_PCA_COEFFS_FPATH: dict[Actor, Annotated[str, workspace_file(".npz", "train")]] = {}

# Per actor: tongue PCA components, instead of those of the preprocessing run.
# Change it when you made them by other means.
# Read by: training, inference.
TONGUE_PCA_SHAPES_FPATH: dict[Actor, Annotated[str, workspace_file(".npz", "train", "inference")]] = {}

# Per actor: the mean geometry, instead of that of the preprocessing run.
# Change it when you made it by other means.
# Read by: training, inference.
MEAN_GEOMETRY_FPATH: dict[Actor, Annotated[str, workspace_file(".npy", "train", "inference")]] = {}

# Per actor: sizes and scales of the data, instead of those of the preprocessing run.
# Change it when you made them by other means.
# Read by: training, inference.
DATA_INFO_FPATH: dict[Actor, Annotated[str, workspace_file(".json", "train", "inference")]] = {}

# Per actor: the list of shots, instead of that of the preprocessing run.
# Change it when you made it by other means.
# Read by: training.
SHOT_LIST_FPATH: dict[Actor, Annotated[str, workspace_file(".json", "train")]] = {}

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

# The clips to train on, rows (actor, shot, (first frame, last frame), speaker, language, audio file, audio
# offset). The last frame belongs to the clip; the audio file is relative to AUDIO_ROOT; the offset is in
# frames, including fractions such as 0.5, and positive where the audio comes later than the face. By
# default the template that preprocessing wrote is used: every shot whole.
# Change it when clips should be excluded or cut, or languages named ("en", "zh"). Preprocessing prints a
# list to start from.
# Read by: training, inference.
CLIPS: list[Clip] = []

# Per actor: the shots of the validation set. Training excludes their clips in every voice.
# Change it when certain sentences should be compared between runs.
# Read by: training.
VALIDATION_SHOTS: dict[Actor, list[Identifier]] = {}

# The fraction of each actor's shots in the validation set, sampled with RNG_SEED_DATASET, for actors
# without VALIDATION_SHOTS; of ten shots or more at least one. The only shot of an emotion, actor or
# language always stays in the training set; the log reports where this makes the validation set smaller. 0
# trains on all shots without validation.
# Change it when every sentence is needed for training (0), or the validation figures are too noisy
# (larger).
# Read by: training.
VALIDATION_FRACTION: Fraction = 0.05

# Rows (actor, (source shot, frame), length in frames, emotion): muted shots, in which the face keeps the
# pose of that frame in silence. They train the network to be still, in every emotion, in pauses.
# Change it when the face moves in silence. One row per emotion, with a frame of closed, relaxed lips, is a
# good start.
# Read by: training, inference.
AUG_MUTED_SHOTS: list[MutedShot] = []

# Whether the skin of muted shots of the emotion "neutral" is the neutral pose itself instead of the pose of
# the frame.
# Change it when the neutral pose differs from the actor's relaxed face.
# Read by: training.
AUG_MUTED_SKIN_IS_NEUTRAL_FOR_NEUTRAL_EMO: bool = True

# Whether the tongue of muted shots is the neutral tongue instead of the tongue of the frame.
# Change it when the tongue twitches in silence.
# Read by: training.
AUG_MUTED_TONGUE_IS_NEUTRAL: bool = False

# The audio of muted shots: "mic" the hiss of a microphone, "gauss" white noise, None digital silence.
# Change it when silence in your recordings is different.
# Read by: training.
AUG_MUTED_AUDIO_NOISE_TYPE: NoiseType | None = "mic"

# Loudness of that noise.
# Change it when the recordings are noisier or cleaner.
# Read by: training.
AUG_MUTED_AUDIO_NOISE_SCALE: NonNegative = 0.1

# Limits of a random factor on the loudness, sampled for each muted item; None keeps the loudness.
# Change it when silence should always be equally loud.
# Read by: training.
AUG_MUTED_AUDIO_NOISE_LOCAL_SCALE_RANGE: tuple[NonNegative, NonNegative] | None = (0.0, 1.0)

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

# The emotion that is encoded as the zero vector; None gives every emotion an input.
# Change it when SHOT_EMOTION_NAMES has no "neutral".
# Read by: training, inference.
SHOT_EMOTION_NAME_FOR_ALL_ZEROS: Emotion | None = "neutral"

# The emotion that the deployed model starts with.
# Change it when another emotion is the usual one.
# Read by: training (writes it to network_info.json).
DEFAULT_SHOT_EMOTION_NAME: Emotion = "neutral"

# --- Audio ------------------------------------------------------------------------------------------------

# How recordings are resampled to the network's rate: "w2v" keeps their level, "nva2f" divides by their
# peak.
# Change it when recordings differ much in level ("nva2f").
# Read by: training.
AUDIO_PREPROC_METHOD: AudioMethod = "w2v"

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
# regression as in the reference, or "hama", "logmel", "whisper-tiny.en", "whisper-base".
# Change it when its weights are not available ("hama" comes with a package), or another encoder suits the
# language better.
# Read by: training.
SPEECH_ENCODER: Identifier = "hubert-base"

# The hidden layers of the speech encoder that are used, counted from 0, for encoders with a choice ("hama"
# has 0 to 4, "whisper-tiny.en" 0 to 4, "whisper-base" 0 to 6). Empty: a weighted sum of all, with trainable
# weights.
# Change it when data are few: one layer from the middle, such as [2] of "hama", reduces overfitting.
# Read by: training.
SPEECH_ENCODER_LAYERS: list[Index] = []

# Noise added to the features of the speech encoder in training, as a fraction of their own size. It reduces
# overfitting on few recordings.
# Change it when validation figures get worse while the training loss still falls (0.5 to 1).
# Read by: training.
SPEECH_FEATURE_NOISE: NonNegative = 0.0

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
# Change it when clips differ so much in length that a short one often cuts the others.
# Read by: training.
PAD_BATCHES: bool = False

# The number of batches over which gradients are accumulated for one optimizer step.
# Change it when the loss is noisy or memory does not allow a larger BATCH_SIZE (more), or data are few
# (fewer).
# Read by: training.
GRADIENT_ACCUMULATION_STEPS: Count = 4

# Whether gradients are accumulated as in the reference: summed instead of averaged, with the first
# optimizer step of an epoch after one batch, and the remaining batches at its end dropped.
# Change it when you compare with the reference.
# Read by: training.
REFERENCE_ACCUMULATION: bool = False

# The number of passes over the training set.
# Change it when the loss still falls at the end (more) or the data are many (fewer). Below 11 the learning
# rate never leaves its warm-up.
# Read by: training.
NUM_EPOCHS: Count = 400

# The learning rate of the optimizer.
# Change it when the loss jumps (smaller) or hardly moves (larger).
# Read by: training.
LEARNING_RATE: Positive = 5e-5

# The largest norm of all gradients together; larger gradients are clipped to it. None disables clipping.
# Change it when the loss jumps now and then (1.0 is a good start).
# Read by: training.
GRADIENT_CLIP_NORM: Positive | None = None

# The decay of the exponential moving average (EMA) of the weights, which is validated and exported; it
# starts smaller and reaches this value after some hundreds of steps. None exports the weights themselves.
# Change it when training is long (nearer to 1), or for the weights of the last step as the reference has
# them (None).
# Read by: training.
EMA_DECAY: Decay | None = 0.999

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

# Weight of the position error of the marked lip vertices: the mean distance itself, in centimetres, not its
# square, which makes it robust against a few bad frames. Needs SKIN_LIP_DIST_VERTEX_LIST_FPATH. None: off.
# Change it when lips are to be precise, or data are few (docs/quality.md).
# Read by: training.
LOSS_LIP_POSITION_ALPHA: NonNegative | None = None

# --- Runtime ----------------------------------------------------------------------------------------------

# The number of steps between two lines of the log, counted from the start of each epoch.
# Change it when you want more or fewer lines.
# Read by: training.
LOG_PERIOD: Count = 10

# The number of epochs between two validations; the last epoch is always validated.
# Change it when that takes a large part of the time (larger) or the best moment is missed (smaller).
# Read by: training.
VALIDATION_PERIOD_EPOCHS: Count = 10

# Which weights are exported: "best" on the validation set, or "last". Without a validation set the last are
# exported.
# Change it when the validation set is too small to judge by.
# Read by: training.
EXPORTED_WEIGHTS: ExportedWeights = "best"

# Whether two runs with the same seeds on the same machine give the same weights, at some cost in speed.
# Change it when speed matters more.
# Read by: training.
REPRODUCIBLE: bool = True

# Seed of the initial weights and of the order of the data.
# Change it when you want to measure the spread between seeds.
# Read by: training.
RNG_SEED_TORCH: Seed = 42

# Seed of the validation split and of data augmentation.
# Change it when you want to measure the spread between seeds.
# Read by: training.
RNG_SEED_DATASET: Seed = 43

# Whether decoded recordings stay in memory.
# Change it when hours of audio do not fit.
# Read by: training.
AUDIO_DATA_CACHING: bool = True

# Has no effect here: diffusion uses no phonemes.
# Change it when nothing depends on it; it is kept so that older configurations load.
# Read by: nothing.
PHONEME_DATA_CACHING: bool = True

# Has no effect here: only the frames of a batch are assembled.
# Change it when nothing depends on it; it is kept so that older configurations load.
# Read by: nothing.
TARGET_DATA_CACHING: bool = False

# Has no effect: PCA components stay on the accelerator, and motion is moved there batch by batch.
# Change it when nothing depends on it; it is kept so that older configurations load.
# Read by: nothing.
TARGET_OBJECTS_TO_CUDA: bool = True

# The device of training; "auto" uses CUDA, else MPS, else the CPU.
# Change it when an accelerator should stay free ("cpu").
# Read by: training.
DEVICE: Device = "auto"

# The floating-point type of the network's computation; "auto" is bfloat16 on CUDA devices that support it,
# otherwise float32. Losses and weights are always float32.
# Change it when you compare devices ("float32").
# Read by: training.
PRECISION: Precision = "auto"

# Whether the network is compiled at the start, which takes minutes and makes steps faster.
# Change it when training runs for hours on an accelerator.
# Read by: training.
COMPILE: bool = False

# Minutes between two checkpoints, from which training resumes after a stop or crash; 0 writes one after
# every step.
# Change it when a checkpoint is large and the disk slow (longer), or the machine may vanish (shorter).
# Read by: training.
CHECKPOINT_PERIOD_MINUTES: NonNegative = 10.0

# Minutes of training, without pauses, after which it ends as if all epochs were done; None sets no limit.
# Change it when a result is needed in time. The learning rate schedule ignores this limit: adjust
# NUM_EPOCHS as well.
# Read by: training.
TIME_LIMIT_MINUTES: Positive | None = None
