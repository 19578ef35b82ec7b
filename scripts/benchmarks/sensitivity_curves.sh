#!/usr/bin/env bash
# Accuracy before fine-tuning with shares of channels by sensitivity curves, at equal multiply-adds.
#
#   scripts/benchmarks/sensitivity_curves.sh --data_dir=FOLDER --model=PATH [--selectors=lasso,obs]
#   scripts/benchmarks/sensitivity_curves.sh --smoke     a test of it in under a minute, without a data set
set -euo pipefail

# shellcheck source=scripts/lib/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/env.sh"

ensure_env ''
exec "$VENV_PYTHON" "$ROOT/scripts/benchmarks/sensitivity_curves.py" "$@"
