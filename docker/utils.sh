#!/usr/bin/env bash
# Sourced by the scripts beside it. What is run, and how, stands in tools/launch.py and tools/docker.py.

FRAMEWORK_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

# Ends with the message of a missing Python; any version from 3.8 on will do, no package is needed.
need_python() {
    if ! command -v python3 > /dev/null; then
        echo "[ERROR] python3 is not found: install it (Ubuntu: sudo apt install python3)" >&2
        exit 2
    fi
}

# Becomes a stage inside the image, with the arguments of its host script: run_in_image train CONFIG_NAME
run_in_image() {
    local stage="$1"
    shift
    need_python
    A2F_RUNTIME=docker exec python3 "$FRAMEWORK_ROOT/run_$stage.py" "$@"
}

# Becomes a command of tools/docker.py: docker_tool shell
docker_tool() {
    need_python
    PYTHONPATH="$FRAMEWORK_ROOT" exec python3 -m tools.docker "$@"
}
