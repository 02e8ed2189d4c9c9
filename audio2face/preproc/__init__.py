"""From raw caches to what training reads: distinct poses, principal components, coefficients."""
