#!/usr/bin/env bash
# Builds the image in which the stages run where this machine's Python cannot run them.
#   ./docker/build_docker.sh          with CUDA; A2F_TORCH_INDEX in .env chooses another build of torch
#   ./docker/build_docker.sh --cpu    smaller, for machines without an NVIDIA GPU
set -euo pipefail
# shellcheck source=docker/utils.sh
source "$(dirname "${BASH_SOURCE[0]}")/utils.sh"
docker_tool build "$@"
