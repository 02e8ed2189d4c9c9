"""Trains networks that turn speech into skin, tongue, jaw and eye animation."""

__version__ = "0.1.0"
