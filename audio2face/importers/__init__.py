"""Imports captures of faces: a kind of source becomes takes, and takes become a raw data set in the standard layout.

`kinds.py` is the table of kinds; each is one module that finds and reads takes (`take.py`).
"""
