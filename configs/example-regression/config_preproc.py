"""Preprocessing of example-regression."""

EXTENDS = "example-diffusion"
