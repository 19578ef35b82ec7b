#!/usr/bin/env bash
# Measured speed-up of pruned networks' files, compared with the reduction of multiply-adds.
#
#   scripts/benchmarks/latency.sh --data_dir=FOLDER [--model=PATH | --resnet_size=56]
#   scripts/benchmarks/latency.sh --smoke     a test of it in under a minute, without a data set
set -euo pipefail

# shellcheck source=scripts/lib/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/env.sh"

ensure_env ''
exec "$VENV_PYTHON" "$ROOT/scripts/benchmarks/latency.py" "$@"
