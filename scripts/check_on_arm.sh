#!/usr/bin/env bash
# Runs exported files on an emulated 64-bit ARM Linux and compares their outputs with those on this machine.
#
#   scripts/check_on_arm.sh runs/quickstart/*.tflite
#   scripts/check_on_arm.sh --inputs=FILE.npy model_int8.tflite     on float inputs [N, ...], normalised as in training
#
# One line per file; exit code 1 if one crashes or differs by more than its tolerance, 2 if something is missing.
# Without --inputs: 16 samples of standard normal values, always the same. The first call downloads the ARM system
# into .arm (or POCKETFLOW_ARM_DIR), about 110 MB, without root; it needs a Debian 12. Emulation does not measure speed.
# QEMU_CPU: the processor to emulate, as cortex-a53; default cortex-a76.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -euo pipefail

LIB="$(dirname "${BASH_SOURCE[0]}")/lib"
# shellcheck source=scripts/lib/env.sh
source "$LIB/env.sh"
# shellcheck source=scripts/lib/arm.sh
source "$LIB/arm.sh"

check_file() {
  [[ -f "$1" ]] || die 2 "$1: no such file"
  [[ "$(head -c 8 "$1" | tail -c 4 | tr -d '\0')" == TFL3 ]] || die 2 "$1: not a .tflite file"
}

parse_words() {
  local word nb_files=0
  for word in "$@"; do
    case "$word" in
      --inputs=?*) [[ -f "${word#*=}" ]] || die 2 "$word: no such file" ;;
      -*) die 2 "$word: unknown; the only option is --inputs=FILE.npy" ;;
      *) check_file "$word"; nb_files=$((nb_files + 1)) ;;
    esac
  done
  ((nb_files)) || die 2 'name the files to run: scripts/check_on_arm.sh FILE.tflite...'
}

parse_words "$@"
ensure_env ''
ensure_arm
export TF_CPP_MIN_LOG_LEVEL=${TF_CPP_MIN_LOG_LEVEL:-3} PYTHONPATH=$ROOT
exec "$VENV_PYTHON" "$ROOT/scripts/arm/check.py" "--arm_python=$ARM_PYTHON" "$@"
