"""Recognisers of phones by name, those that are networks and the one that is not: sound in, phones over time out."""

from audio2face.networks.phonemes.registry import available, open_detector

__all__ = ["available", "open_detector"]
