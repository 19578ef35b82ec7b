#!/usr/bin/env bash
# Seconds of ordering the channels of layers of 64 to 512 channels.
#
#   scripts/benchmarks/selector_speed.sh
#   scripts/benchmarks/selector_speed.sh --smoke     a test of it in seconds
set -euo pipefail

# shellcheck source=scripts/lib/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/env.sh"

ensure_env ''
exec "$VENV_PYTHON" "$ROOT/scripts/benchmarks/selector_speed.py" "$@"
