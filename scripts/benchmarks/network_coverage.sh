#!/usr/bin/env bash
# Channel pruning of well-known networks: multiply-adds, parameters, bytes and speed of the float32 file.
#
#   scripts/benchmarks/network_coverage.sh [--networks=resnet50,densenet121] [--images=40]
#   scripts/benchmarks/network_coverage.sh --smoke     a test of it in under a minute
set -euo pipefail

# shellcheck source=scripts/lib/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/env.sh"

ensure_env ''
exec "$VENV_PYTHON" "$ROOT/scripts/benchmarks/network_coverage.py" "$@"
