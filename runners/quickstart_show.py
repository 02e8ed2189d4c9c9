"""What the quickstart ends with: a face that speaks a sentence it has never heard, beside its true motion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from audio2face.console import LOGGER
from audio2face.dataset import ActorDataset
from audio2face.evaluate.ground_truth import ground_truth_animation
from audio2face.inference.animate import AnimationOptions, AnimationPipeline
from audio2face.model_folder import DeployedModel
from audio2face.outputs import write_outputs

FORMATS = ("page", "video", "maya", "arkit", "glb")
_TO_OPEN = {".html": "page (open in a browser)", ".mp4": "video", ".glb": "glTF (Blender, three.js)"}
_LABELS = ("animated from the sound", "true motion")


def show_sentence(model: Path, dataset: ActorDataset, shot: str, emotion: str, folder: Path) -> None:
    """Animates a sentence with a deployed model.

    Args:
        model: the deployed folder.
        dataset: the actor's data, with the sentence as one of its shots.
        shot: the sentence.
        emotion: in which it is said.
        folder: receives all files, which are called as it is.

    Raises:
        UserError: a file cannot be read or written.
    """
    performer = AnimationPipeline(DeployedModel.open(model), AnimationOptions(actor=dataset.actor, emotion=emotion))
    folder.parent.mkdir(parents=True, exist_ok=True)
    animation = performer.animate(dataset.audio_path(shot), folder.parent)
    truth = ground_truth_animation(dataset, shot, folder.parent, animation.fps)
    write_outputs(animation, folder, folder.name, FORMATS, truth, _LABELS)
    LOGGER.info("%s: %d frames at %g per second", folder.name, animation.num_frames, animation.fps)


def files_to_open(folder: Path) -> Mapping[str, Path]:
    """The files that `show_sentence` has written for people, by what they are."""
    return {what: folder / f"{folder.name}{suffix}" for suffix, what in _TO_OPEN.items()}


def unseen_dataset(dataset: ActorDataset, unseen: Path) -> ActorDataset:
    """The dataset of an example actor, whose shots are those that training has not seen.

    Args:
        dataset: the actor's.
        unseen: folder of the other shots, laid out as a dataset.
    """
    places = {
        "AUDIO_ROOT": "audio",
        "SKIN_CACHE_ROOT": "cache/skin",
        "TONGUE_CACHE_ROOT": "cache/tongue",
        "JAW_ANIM_DATA_FPATH": "xform/jaw_keypoints_cache_all.npz",
        "EYE_ANIM_DATA_FPATH": "xform/eye_rotations_all.npz",
        "PHONEME_TIMES_ROOT": "phonemes",
    }
    return replace(dataset, paths={**dataset.paths, **{name: unseen / place for name, place in places.items()}})
