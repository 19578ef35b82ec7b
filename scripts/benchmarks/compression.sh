#!/usr/bin/env bash
# Accuracy, bytes and speed-up of each compression method, one run of main.py per case.
#
#   scripts/benchmarks/compression.sh --data_dir=FOLDER --model=PATH [--cases=a,b] [--work_dir=FOLDER]
#   scripts/benchmarks/compression.sh --smoke     a test of it in under a minute, without a data set
set -euo pipefail

# shellcheck source=scripts/lib/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/env.sh"

ensure_env ''
exec "$VENV_PYTHON" "$ROOT/scripts/benchmarks/compression.py" "$@"
