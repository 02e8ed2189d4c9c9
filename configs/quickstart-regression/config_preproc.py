"""Preprocessing of quickstart-regression."""

EXTENDS = "quickstart-diffusion"
