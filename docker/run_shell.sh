#!/usr/bin/env bash
# A shell inside the image, with the same folders as the stages see; VSCode can attach to it.
set -euo pipefail
# shellcheck source=docker/utils.sh
source "$(dirname "${BASH_SOURCE[0]}")/utils.sh"
docker_tool shell
