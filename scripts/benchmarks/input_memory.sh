#!/usr/bin/env bash
# Memory of training on a folder of JPEG files that do not fit into it.
#
#   scripts/benchmarks/input_memory.sh [--images=50000] [--steps=2000]
#   scripts/benchmarks/input_memory.sh --smoke     a test of it in under a minute
#
# The files, crops of two photographs, take about 0.65 GB of the temporary folder (TMPDIR) and are removed at the end.
set -euo pipefail

# shellcheck source=scripts/lib/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/env.sh"

ensure_env ''
exec "$VENV_PYTHON" "$ROOT/scripts/benchmarks/input_memory.py" "$@"
