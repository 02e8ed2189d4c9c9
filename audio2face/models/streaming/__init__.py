"""The streaming network: one step a frame, causal but for a few frames, with a state that is carried from step to step.

`timing` says which samples a step depends on; `front_end`, `network` and `loss` are tensors.
"""
