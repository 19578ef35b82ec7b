#!/usr/bin/env bash
# Times exported files on a phone that is connected by USB, and adds the times to the report of their run.
#
#   scripts/time_on_phone.sh --tool=benchmark_model model_int8.tflite model_float32.tflite
#   scripts/time_on_phone.sh --tool=benchmark_model --run_dir=runs/mine      all files of a run, and into its report
#   scripts/time_on_phone.sh --help                                          all options
#
# It needs adb, a phone with USB debugging, and the benchmark_model of LiteRT or TensorFlow Lite for its processor
# (docs/deploy.md says where it comes from). Exit code 1 if a file cannot be timed, 2 if something is missing.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -euo pipefail

# shellcheck source=scripts/lib/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/env.sh"

ensure_env ''
export PYTHONPATH=$ROOT
exec "$VENV_PYTHON" -m pocketflow.scripts.phone.time_files "$@"
