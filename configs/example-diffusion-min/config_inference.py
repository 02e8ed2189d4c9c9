"""Inference of example-diffusion-min."""

EXTENDS = "example-diffusion"
