#!/usr/bin/env bash
# Images per second from a folder of JPEG files, beside what training takes in, and memory over many batches.
#
#   scripts/benchmarks/input_pipeline.sh [--images=512] [--rounds=3] [--steps=30] [--batches=400]
#   scripts/benchmarks/input_pipeline.sh --smoke     a test of it in under a minute, without a data set
set -euo pipefail

# shellcheck source=scripts/lib/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/env.sh"

ensure_env ''
exec "$VENV_PYTHON" "$ROOT/scripts/benchmarks/input_pipeline.py" "$@"
