#!/usr/bin/env bash
# Memory of a search over flags per trial: LeNet at digits, or with --data_dir ResNet-20 at CIFAR-10.
#
#   scripts/benchmarks/trial_memory.sh [--trials=100] [--learner=uniform] [--data_dir=FOLDER]
#   scripts/benchmarks/trial_memory.sh --smoke     a test of it in under a minute
set -euo pipefail

# shellcheck source=scripts/lib/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/env.sh"

ensure_env ''
exec "$VENV_PYTHON" "$ROOT/scripts/benchmarks/trial_memory.py" "$@"
