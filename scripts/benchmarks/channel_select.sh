#!/usr/bin/env bash
# Speed of channel selects as 1x1 convolutions, compared with gathers and with a network without selects.
#
#   scripts/benchmarks/channel_select.sh --data_dir=FOLDER [--model=PATH | --resnet_size=56]
#   scripts/benchmarks/channel_select.sh --smoke     a test of it in under a minute, without a data set
set -euo pipefail

# shellcheck source=scripts/lib/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/env.sh"

ensure_env ''
exec "$VENV_PYTHON" "$ROOT/scripts/benchmarks/channel_select.py" "$@"
