"""Preprocessing of example-regression."""

RUN_NAME = "example"
RUN_INFO = ""
