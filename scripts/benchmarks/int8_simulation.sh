#!/usr/bin/env bash
# How far int8 files are from the quantization-aware models that they were made of, for well-known networks.
#
#   scripts/benchmarks/int8_simulation.sh [--networks=mobilenet_v2,efficientnet_b0] [--size=32] [--steps=150]
#   scripts/benchmarks/int8_simulation.sh --smoke     a test of it in under a minute
set -euo pipefail

# shellcheck source=scripts/lib/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/env.sh"

ensure_env ''
exec "$VENV_PYTHON" "$ROOT/scripts/benchmarks/int8_simulation.py" "$@"
