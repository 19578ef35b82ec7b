#!/usr/bin/env bash
# Search methods compared with random search on synthetic networks.
#
#   scripts/benchmarks/synthetic_search.sh [--trials=60] [--seeds=10] [--layers=20]
#   scripts/benchmarks/synthetic_search.sh --smoke     a test of it in under a minute
set -euo pipefail

# shellcheck source=scripts/lib/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/env.sh"

ensure_env ''
exec "$VENV_PYTHON" "$ROOT/scripts/benchmarks/synthetic_search.py" "$@"
