"""One file per speech encoder; each defines `ENTRIES`, a tuple of `Entry`.

Heavy libraries are imported in functions, for the registry imports every file here to learn its names.
"""
