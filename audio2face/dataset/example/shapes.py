"""Names of the example actor's shapes, in the order of every weight array.

The order is the one the SDK's blend-shape files use; indices into a weight array come from `ARKIT_INDEX` and
`TONGUE_INDEX`. In this set `mouthClose` holds the open jaw too: at weight 1 the jaw is open and the lips meet. This
module knows names only, no geometry.
"""

from __future__ import annotations

from audio2face.dataset.arkit_names import ARKIT_NAMES, TONGUE_NAMES

__all__ = ["ARKIT_INDEX", "ARKIT_NAMES", "TONGUE_INDEX", "TONGUE_NAMES"]

ARKIT_INDEX: dict[str, int] = {name: index for index, name in enumerate(ARKIT_NAMES)}
TONGUE_INDEX: dict[str, int] = {name: index for index, name in enumerate(TONGUE_NAMES)}
