#!/usr/bin/env bash
# Network traffic and time of compressed gradients, measured for two workers and computed for more.
#
#   scripts/benchmarks/gradient_compression.sh [--gigabits=10] [--train_epochs=30 --data_dir=FOLDER --work_dir=FOLDER]
#   scripts/benchmarks/gradient_compression.sh --smoke     a test of it in under a minute, without a data set
set -euo pipefail

# shellcheck source=scripts/lib/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/env.sh"

ensure_env ''
exec "$VENV_PYTHON" "$ROOT/scripts/benchmarks/gradient_compression.py" "$@"
