"""The example dataset: two synthetic actors, made on demand from a head, a voice and the sentences in this package."""
