#!/usr/bin/env bash
# Post-training quantization: accuracy of the exported files, and minutes of processor time.
#
#   scripts/benchmarks/post_training.sh --data_dir=FOLDER --model=PATH [--cases=a,b]
#   scripts/benchmarks/post_training.sh --smoke     a test of it in under a minute, without a data set
set -euo pipefail

# shellcheck source=scripts/lib/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/env.sh"

ensure_env ''
exec "$VENV_PYTHON" "$ROOT/scripts/benchmarks/post_training.py" "$@"
