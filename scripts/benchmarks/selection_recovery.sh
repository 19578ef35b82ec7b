#!/usr/bin/env bash
# Accuracy right after the selection at several prune ratios, with and without new statistics of batch norms.
#
#   scripts/benchmarks/selection_recovery.sh --data_dir=FOLDER --model=PATH [--ratios=0.05,0.5] [--selectors=lasso,l1]
#   scripts/benchmarks/selection_recovery.sh --smoke     a test of it in under a minute, without a data set
set -euo pipefail

# shellcheck source=scripts/lib/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/env.sh"

ensure_env ''
exec "$VENV_PYTHON" "$ROOT/scripts/benchmarks/selection_recovery.py" "$@"
