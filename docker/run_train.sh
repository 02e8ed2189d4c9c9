#!/usr/bin/env bash
# Stage 2, training, inside the image: ./docker/run_train.sh CONFIG_NAME
set -euo pipefail
# shellcheck source=docker/utils.sh
source "$(dirname "${BASH_SOURCE[0]}")/utils.sh"
run_in_image train "$@"
