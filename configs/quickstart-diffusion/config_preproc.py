"""Preprocessing of quickstart-diffusion."""

RUN_NAME = "quickstart"
