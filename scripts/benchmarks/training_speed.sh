#!/usr/bin/env bash
# Training speed of the Trainer compared with a minimal hand-written loop, and of bfloat16 with float32.
#
#   scripts/benchmarks/training_speed.sh --data_dir=FOLDER [--rounds=5] [--steps=60]
#   scripts/benchmarks/training_speed.sh --smoke     a test of it in under a minute, without a data set
set -euo pipefail

# shellcheck source=scripts/lib/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/env.sh"

ensure_env ''
exec "$VENV_PYTHON" "$ROOT/scripts/benchmarks/training_speed.py" "$@"
