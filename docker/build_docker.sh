#!/usr/bin/env bash
# Builds the image in which the stages run where this machine's Python cannot run them.
# TORCH_INDEX=https://... takes torch from another package index (a CPU build, another CUDA version).
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
exec docker build --file "$root/docker/Dockerfile" --build-arg TORCH_INDEX="${TORCH_INDEX:-}" \
    --tag audio2face-framework-env "$root"
