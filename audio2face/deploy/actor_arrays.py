"""The arrays of an actor for a deployed folder, from preprocessing: those that the network was trained on."""

from __future__ import annotations

import numpy as np

from audio2face.errors import UserError
from audio2face.model_folder import DiffusionInfo, NetworkInfo, actor_arrays
from audio2face.model_folder.actor_data import Float32Array, neutral_names
from audio2face.preproc.artifacts import PreprocArtifacts
from audio2face.training import single_files
from audio2face.training.diffusion_task import CONSTANTS_FILE
from audio2face.training.origins import Origin
from audio2face.training.training_run import TrainingRun

_SAME_FACE_CM = 1e-3
_ANEW = "The actor was preprocessed anew since, or trained with files of other runs: train anew."


def read_arrays(
    run: TrainingRun, info: NetworkInfo, actor: str, source: PreprocArtifacts, origin: Origin
) -> dict[str, Float32Array]:
    """Reads the arrays of an actor.

    Args:
        run: the training run.
        info: what the network takes and gives.
        actor: the actor.
        source: its preprocessing run.
        origin: what training recorded of it.

    Raises:
        UserError: an array is missing, or does not fit what was learnt.
    """
    # Sizes are checked below, with a word on what they should agree with.
    axes = {name: (None,) * len(shape) for name, shape in actor_arrays(info).items()}
    arrays = {name: source.network_data.read_floats(name, shape) for name, shape in axes.items()}
    if isinstance(info, DiffusionInfo):
        _check_faces(run, info, info.identities.index(actor), source, arrays)
    else:
        _take_named_shapes(arrays, origin)
        _check_sizes(info, source, arrays)
    return arrays


def _check_faces(
    run: TrainingRun, info: DiffusionInfo, place: int, source: PreprocArtifacts, arrays: dict[str, Float32Array]
) -> None:
    """Makes sure that motion is added to the face that it was learnt as a difference from."""
    constants = run.tensors(CONSTANTS_FILE)
    neutral, scale = constants["neutral"][place].numpy(), constants["scale"][place].numpy()
    ends = (0, info.skin_size, info.skin_size + info.tongue_size)
    for index, name in enumerate(neutral_names(info)):
        learnt = neutral[ends[index] : ends[index + 1]].reshape(-1, 3) * scale[index]
        given = arrays[name]
        far = _distance(learnt, given) if learnt.shape == given.shape else float("inf")
        if not far < _SAME_FACE_CM:
            raise UserError(
                f"array {name!r} lies {far:.3g} cm from the face that the network of {run.path.name} learnt",
                path=source.network_data.path,
                hint=_ANEW,
            )


def _distance(one: Float32Array, other: Float32Array) -> float:
    """The largest difference of two poses about their centres: normalisation takes the centre away."""
    return float(np.abs((one - one.mean(axis=0)) - (other - other.mean(axis=0))).max())


def _take_named_shapes(arrays: dict[str, Float32Array], origin: Origin) -> None:
    """Puts shapes that training took from files of their own in the place of those of the preprocessing run."""
    for part in ("skin", "tongue"):
        path = origin.files.get(f"{part.upper()}_PCA_SHAPES_FPATH")
        if path is not None:
            shapes = single_files.read_shapes(path)
            arrays |= {f"shapes_matrix_{part}": shapes.matrix, f"shapes_mean_{part}": shapes.mean}


def _check_sizes(info: NetworkInfo, source: PreprocArtifacts, arrays: dict[str, Float32Array]) -> None:
    """Makes sure that coefficients have their shapes."""
    for name, shape in actor_arrays(info).items():
        found = arrays[name].shape
        if len(found) != len(shape) or any(want not in (None, has) for want, has in zip(shape, found, strict=True)):
            wanted = ["any" if length is None else length for length in shape]
            raise UserError(
                f"array {name!r} has the shape {list(found)}, the network was trained for {wanted}",
                path=source.network_data.path,
                hint=_ANEW,
            )
