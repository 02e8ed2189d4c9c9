"""Preprocessing of example-regression-min."""

EXTENDS = "example-diffusion-min"
