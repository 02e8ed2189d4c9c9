"""Preprocessing: from raw caches to distinct poses, principal components and coefficients for training."""
