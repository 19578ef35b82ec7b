#!/usr/bin/env bash
# Gain of searched values per layer over a uniform value, one run of main.py each.
#
#   scripts/benchmarks/search.sh --data_dir=FOLDER --model=PATH [--tasks=a,b] [--methods=a,b] [--work_dir=FOLDER]
#   scripts/benchmarks/search.sh --smoke     a test of it in under a minute, without a data set
set -euo pipefail

# shellcheck source=scripts/lib/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/env.sh"

ensure_env ''
exec "$VENV_PYTHON" "$ROOT/scripts/benchmarks/search.py" "$@"
