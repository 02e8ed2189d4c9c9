"""What is needed to draw an actor, gathered in one archive: polygons, parts beside skin and tongue, marks.

Deployment passes it on; readers that only animate ignore it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from audio2face.dataset import ActorDataset


def display_data(dataset: ActorDataset) -> dict[str, npt.NDArray[Any]]:
    """The arrays of the display archive; what the actor lacks is left out.

    Returns:
        `skin_faces`, `tongue_faces` int32 `[faces, 3 or 4]`; every array of EXTRA_PARTS_FPATH as `extra_<name>`;
        `lip_upper`, `lip_lower`, `eye_upper`, `eye_lower` int32 vertex numbers, paired by position; `blink_keys`
        float32 `[keys]` at 30 frames per second; `fps` float32, frames per second of the actor's animation.
    """
    found: dict[str, npt.NDArray[Any] | None] = {
        "skin_faces": dataset.skin_faces,
        "tongue_faces": dataset.tongue_faces,
        "blink_keys": dataset.eye_blink_keys,
        "fps": np.asarray(dataset.fps, np.float32),
    }
    for name, pairs in (("lip", dataset.lip_dist), ("eye", dataset.eye_dist)):
        if pairs is not None:
            found |= {
                f"{name}_upper": pairs.upper.astype(np.int32),
                f"{name}_lower": pairs.lower.astype(np.int32),
            }
    if dataset.extra_parts is not None:
        found |= {f"extra_{name}": dataset.extra_parts.read(name) for name in dataset.extra_parts.members}
    return {name: array for name, array in found.items() if array is not None}
