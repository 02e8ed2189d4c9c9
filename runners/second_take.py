"""What stands beside an animation in the page: the dataset's own motion, or what another model makes of the sound."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from audio2face.animation.animation import Animation
from audio2face.config import Configuration
from audio2face.console import LOGGER
from audio2face.dataset import ActorDataset
from audio2face.errors import UserError
from audio2face.evaluate.ground_truth import ground_truth_animation
from audio2face.inference.animate import AnimationPipeline
from audio2face.model_folder import DeployedModel
from runners.inference_order import deployed_folder

TRUTH = "truth"


@dataclass(frozen=True)
class ComparisonSource:
    """Makes the second animation of a recording.

    Attributes:
        label: what it is called.
        source: the actor's dataset, or another model.
        fps: of the first animation.
    """

    label: str
    source: ActorDataset | AnimationPipeline
    fps: Fraction

    @classmethod
    def parse(cls, wanted: str, first: AnimationPipeline, configuration: Configuration | None) -> ComparisonSource:
        """Understands what is to be compared with: "truth", a deployed folder, or a deployed training run.

        Raises:
            UserError: there is no such thing, or it cannot be animated as the first is.
        """
        if wanted == TRUTH:
            if configuration is None:
                raise UserError("the true motion belongs to a configuration's dataset", hint="Give CONFIG_NAME.")
            return cls("Ground truth", ActorDataset.open(first.actor.name, configuration.dataset), first.fps)
        folder = Path(wanted)
        if not folder.is_dir() and configuration is not None:
            folder = deployed_folder(configuration, wanted) or folder
        model = DeployedModel.open(folder)
        known = first.actor.name in model.info.identities
        settings = replace(
            first.settings, actor=first.actor.name if known else None, parameters={}, noise=None, fps=first.fps
        )
        return cls(folder.resolve().name, AnimationPipeline(model, settings), first.fps)

    def animate(self, recording: Path, folder: Path) -> Animation | None:
        """The second animation of a recording; None, with a word in the log, for one that is no shot of the dataset.

        Raises:
            UserError: the recording, the dataset or the disk fails.
        """
        if isinstance(self.source, AnimationPipeline):
            return self.source.animate(recording, folder)
        if recording.stem not in self.source.shot_names:
            LOGGER.warning("actor %r has no shot %r to compare with", self.source.actor, recording.stem)
            return None
        return ground_truth_animation(self.source, recording.stem, folder, float(self.fps))
