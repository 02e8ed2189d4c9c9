"""Preprocessing of example-diffusion."""

RUN_NAME = "example"
RUN_INFO = ""
