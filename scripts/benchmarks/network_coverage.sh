#!/usr/bin/env bash
# Channel pruning of all networks of tf_keras.applications and a U-Net: multiply-adds left, and checks of the results.
#
#   scripts/benchmarks/network_coverage.sh [--only=ResNet50,DenseNet121] [--size=32] [--journal=FILE]
#   scripts/benchmarks/network_coverage.sh --smoke     a test of it in under a minute
set -euo pipefail

# shellcheck source=scripts/lib/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/env.sh"

ensure_env ''
exec "$VENV_PYTHON" "$ROOT/scripts/benchmarks/network_coverage.py" "$@"
