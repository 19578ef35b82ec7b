#!/usr/bin/env bash
# Duration of training steps with and without simulated quantization; needs no data set.
#
#   scripts/benchmarks/quantized_step.sh [--rounds=7] [--steps=10] [--compute_dtype=float32]
#   scripts/benchmarks/quantized_step.sh --smoke     a test of it in under a minute
set -euo pipefail

# shellcheck source=scripts/lib/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/env.sh"

ensure_env ''
exec "$VENV_PYTHON" "$ROOT/scripts/benchmarks/quantized_step.py" "$@"
