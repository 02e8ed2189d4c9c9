"""Parameters of training that do not affect the weights."""

from __future__ import annotations

# Parameters of training that may change when a run is resumed: they do not affect the weights, or the checkpoint
# holds their effect.
FREE_PARAMETERS = {
    *("RUN_NAME", "RUN_INFO", "NETWORK_VERSION", "MODEL_LICENSE", "PRETRAINED_NET_FPATH", "DEFAULT_SHOT_EMOTION_NAME"),
    *("TRAIN_OUTPUT_ROOT", "FINAL_DEPLOY_ROOT", "TORCH_CACHE_ROOT", "PREPROC_ROOT", "PREPROC_RUN_NAME_FULL"),
    *("LOG_PERIOD", "TRACKERS", "VALIDATION_PERIOD_EPOCHS", "EXPORTED_WEIGHTS", "STREAMING_CFG"),
    *("COMPACTIFY_IMPLICIT_EMO_DB",),
    *("DEVICE", "COMPILE", "CHECKPOINT_PERIOD_MINUTES", "TIME_LIMIT_MINUTES"),
    *("SPEECH_FEATURES_ROOT",),
    *("AUDIO_DATA_CACHING", "PHONEME_DATA_CACHING", "TARGET_DATA_CACHING", "TARGET_OBJECTS_TO_CUDA"),
}
