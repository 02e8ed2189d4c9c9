"""Networks that turn speech into facial animation: tensors in, tensors out; no files, no configuration."""
