"""One file per speech encoder; each defines `ENTRIES`, a tuple of `EncoderSpec`.

Heavy libraries are imported inside functions, since the registry imports every file here for its names.
"""
