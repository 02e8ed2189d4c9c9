#!/usr/bin/env bash
# Stage 1, preprocessing, inside the image: ./docker/run_preproc.sh CONFIG_NAME ACTOR_NAME
set -euo pipefail
# shellcheck source=docker/utils.sh
source "$(dirname "${BASH_SOURCE[0]}")/utils.sh"
run_in_image preproc "$@"
