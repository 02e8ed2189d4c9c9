"""Draws the README's animation: a sentence unseen by a network of the quickstart, beside its recorded motion.

    python -m tools.draw_speech MODEL_FOLDER [PICTURE.webp]

MODEL_FOLDER is what `run_quickstart.py` calls the deployed model. Needs neither a display nor a graphics card.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import av
from PIL import Image

from audio2face.animation.animation import Animation
from audio2face.config import load
from audio2face.dataset import ActorDataset
from audio2face.evaluate.ground_truth import ground_truth_animation
from audio2face.example.sentences import emotion_of, unseen_dataset
from audio2face.export.video import write_video
from audio2face.inference.actor import exact_rate
from audio2face.inference.animate import AnimationOptions, AnimationPipeline
from audio2face.io.atomic import atomic_write
from audio2face.model_folder import DeployedModel

_CONFIGURATION = "quickstart-diffusion"
_LABELS = ("animated from the sound", "true motion")
_SIZE = (720, 360)
_EVERY = 2  # 30 frames per second become 15, which is half the size
_QUALITY = 72


def main(argv: list[str]) -> int:
    model = Path(argv[0])
    target = Path(argv[1]) if len(argv) > 1 else Path(__file__).parents[1] / "docs/images/unseen_sentence.webp"
    configuration = load(_CONFIGURATION, stage="inference")
    actor = ActorDataset.open(configuration.actors[0], configuration.dataset)
    unseen = unseen_dataset(actor, configuration.roots.datasets)
    shot = unseen.shot_names[-1]
    with tempfile.TemporaryDirectory() as folder:
        settings = AnimationOptions(actor=actor.actor, emotion=emotion_of(shot), fps=exact_rate(actor.fps))
        animation = AnimationPipeline(DeployedModel.open(model), settings).animate(
            unseen.audio_path(shot), Path(folder)
        )
        true_motion = ground_truth_animation(unseen, shot, Path(folder), animation.fps)
        write_animation(animation, true_motion, Path(folder) / "speech.mp4", target)
    print(f"{target}: {target.stat().st_size / 1e6:.2f} MB")
    return 0


def write_animation(animation: Animation, true_motion: Animation, video: Path, target: Path) -> None:
    """Writes the video, and an animated WebP of it, which web pages show like a picture."""
    write_video(animation, video, compare=true_motion, labels=_LABELS, size=_SIZE)
    with av.open(str(video)) as container:
        pictures = [Image.fromarray(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    shown = pictures[::_EVERY]
    milliseconds = round(1000 * _EVERY / animation.fps)
    with atomic_write(target) as handle:
        shown[0].save(
            handle, "WEBP", save_all=True, append_images=shown[1:], duration=milliseconds, loop=0, quality=_QUALITY
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
