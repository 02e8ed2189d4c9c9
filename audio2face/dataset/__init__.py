"""The raw data of one actor, opened lazily, and the checks of a dataset."""

from __future__ import annotations

from audio2face.dataset.actor import ActorDataset, BlendshapeFiles
from audio2face.dataset.shots import CacheFolder, Shot, infer_emotion
from audio2face.dataset.vertex_lists import LipSize, VertexPairs

__all__ = ["ActorDataset", "BlendshapeFiles", "CacheFolder", "LipSize", "Shot", "VertexPairs", "infer_emotion"]
