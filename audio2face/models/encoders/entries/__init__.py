"""One file per speech encoder; each defines `ENTRIES`, a tuple of `EncoderSpec`.

Heavy libraries are imported in functions, for the registry imports every file here to learn its names.
"""
