#!/usr/bin/env bash
# Channel pruners at CIFAR-10: multiply-adds, accuracy before and after fine-tuning, bytes, latency.
#
#   scripts/benchmarks/channel_pruners.sh --data_dir=FOLDER --model=PATH [--ratio=R] [--epochs=N] [--cases=a,b]
#   scripts/benchmarks/channel_pruners.sh --smoke     a test of it in under a minute, without a data set
set -euo pipefail

# shellcheck source=scripts/lib/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/env.sh"

ensure_env ''
exec "$VENV_PYTHON" "$ROOT/scripts/benchmarks/channel_pruners.py" "$@"
