"""What the training loop wants to know of a configuration, whatever the network."""

from __future__ import annotations

from dataclasses import dataclass

from audio2face.config.sections import TrainDiffusion, TrainRegression
from audio2face.config_base.types import Device, ExportedWeights, Precision


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """What the network is trained on, and how it calculates; see the parameters of the same names."""

    device: Device = "auto"
    precision: Precision = "auto"
    compiled: bool = False
    reproducible: bool = True
    seed: int = 42


@dataclass(frozen=True, kw_only=True)
class LoopSettings:
    """How long and in which steps is trained; see the parameters of the same names in the base modules.

    Attributes:
        epochs: NUM_EPOCHS.
        accumulation: batches whose gradients are gathered for a step.
        reference_accumulation: gathers them as the reference does.
        clip_norm: GRADIENT_CLIP_NORM.
        ema_decay: EMA_DECAY.
        log_period: batches between two lines of the log, counted from the start of each epoch.
        validation_period: epochs.
        checkpoint_seconds: time between two checkpoints.
        limit_seconds: time after which training ends; None: never.
        exported: EXPORTED_WEIGHTS.
    """

    epochs: int
    accumulation: int = 1
    reference_accumulation: bool = False
    clip_norm: float | None = None
    ema_decay: float | None = None
    log_period: int = 10
    validation_period: int = 1
    checkpoint_seconds: float = 600.0
    limit_seconds: float | None = None
    exported: ExportedWeights = "best"

    def is_due(self, batch: int, num_batches: int) -> bool:
        """Whether the weights change after a batch of an epoch, both counted from 0."""
        if self.reference_accumulation:
            return batch % self.accumulation == 0
        return (batch + 1) % self.accumulation == 0 or batch + 1 == num_batches


def engine_settings(train: TrainDiffusion | TrainRegression) -> EngineSettings:
    """Reads them from a configuration."""
    return EngineSettings(
        device=train.DEVICE,
        precision=train.PRECISION,
        compiled=train.COMPILE,
        reproducible=train.REPRODUCIBLE,
        seed=train.RNG_SEED_TORCH,
    )


def loop_settings(train: TrainDiffusion | TrainRegression) -> LoopSettings:
    """Reads them from a configuration."""
    limit = train.TIME_LIMIT_MINUTES
    return LoopSettings(
        epochs=train.NUM_EPOCHS,
        accumulation=train.GRADIENT_ACCUMULATION_STEPS,
        reference_accumulation=train.REFERENCE_ACCUMULATION,
        clip_norm=train.GRADIENT_CLIP_NORM,
        ema_decay=train.EMA_DECAY,
        log_period=train.LOG_PERIOD,
        validation_period=train.VALIDATION_PERIOD_EPOCHS,
        checkpoint_seconds=60 * train.CHECKPOINT_PERIOD_MINUTES,
        limit_seconds=None if limit is None else 60 * limit,
        exported=train.EXPORTED_WEIGHTS,
    )
