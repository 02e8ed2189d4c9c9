"""The example's sentences that training has not seen, with their true motion: what a trained network is judged on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from audio2face.dataset import ActorDataset

VOICES = ("ada", "ben")  # of the quickstart: a network is trained on one of them, the other is new to it

# Where a folder of unseen sentences holds what a dataset's parameters name.
_PATHS = {
    "AUDIO_ROOT": "audio",
    "SKIN_CACHE_ROOT": "cache/skin",
    "TONGUE_CACHE_ROOT": "cache/tongue",
    "JAW_ANIM_DATA_FPATH": "xform/jaw_keypoints_cache_all.npz",
    "EYE_ANIM_DATA_FPATH": "xform/eye_rotations_all.npz",
    "PHONEME_TIMES_ROOT": "phonemes",
}


def unseen_folder(datasets: Path, voice: str) -> Path:
    """The folder of a voice's unseen sentences, laid out as a dataset.

    Args:
        datasets: where datasets lie.
        voice: of the example.
    """
    return datasets / "example" / voice / "unseen"


def unseen_sentences(datasets: Path, voice: str) -> list[Path]:
    """Recordings of a voice's unseen sentences, sorted by name.

    Args:
        datasets: where datasets lie.
        voice: of the example.
    """
    return sorted((unseen_folder(datasets, voice) / "audio").glob("*.wav"))


def unseen_dataset(dataset: ActorDataset, datasets: Path) -> ActorDataset:
    """The dataset of an example actor, whose shots are the unseen sentences.

    Args:
        dataset: the actor's.
        datasets: where datasets lie.
    """
    folder = unseen_folder(datasets, dataset.actor)
    return replace(dataset, paths={**dataset.paths, **{name: folder / path for name, path in _PATHS.items()}})


def emotion_of(sentence: str) -> str:
    """The emotion in which a sentence of the example is said: the last word of its name."""
    return sentence.rpartition("_")[2]
