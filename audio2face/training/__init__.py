"""Training: the data, one loop for both kinds of network, checkpoints, and what each kind adds."""
