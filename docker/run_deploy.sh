#!/usr/bin/env bash
# Stage 3, deployment, inside the image: ./docker/run_deploy.sh CONFIG_NAME TRAINING_RUN_NAME_FULL
set -euo pipefail
# shellcheck source=docker/utils.sh
source "$(dirname "${BASH_SOURCE[0]}")/utils.sh"
run_in_image deploy "$@"
