"""The example dataset: two synthetic actors, generated on demand from a head, a voice and sentences in this package."""
