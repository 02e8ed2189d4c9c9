#!/usr/bin/env bash
# Evaluation inside the image: ./docker/run_evaluate.sh CONFIG_NAME TRAINING_RUN_NAME_FULL
set -euo pipefail
# shellcheck source=docker/utils.sh
source "$(dirname "${BASH_SOURCE[0]}")/utils.sh"
run_in_image evaluate "$@"
