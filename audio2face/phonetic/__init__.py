"""The speech encoder `a2f-phonetic` in NumPy: its input, its phonetic classes, its network and its weights.

The same network for training is `audio2face.models.encoders.entries.a2f_phonetic`; `a2f_phonetic.md` beside the weights
describes them.
"""
