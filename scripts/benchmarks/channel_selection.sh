#!/usr/bin/env bash
# Accuracy after channel selection by each criterion, with its time and memory.
#
#   scripts/benchmarks/channel_selection.sh --data_dir=FOLDER --model=PATH [--images=5000] [--rounds=3]
#   scripts/benchmarks/channel_selection.sh --smoke     a test of it in under a minute, without a data set
set -euo pipefail

# shellcheck source=scripts/lib/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/env.sh"

ensure_env ''
exec "$VENV_PYTHON" "$ROOT/scripts/benchmarks/channel_selection.py" "$@"
