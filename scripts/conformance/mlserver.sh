#!/usr/bin/env bash
# Serves a run with the real MLServer: the folder, its answers by REST and gRPC, requests that do not fit.
#
#   scripts/conformance/mlserver.sh                 trains and compresses LeNet at digits first (about a minute)
#   scripts/conformance/mlserver.sh RUN_DIR         a finished run with one input
#
# MLServer is installed, by the requirements.txt that the folder holds for images, into an environment of its own in
# .conformance, or the folder in POCKETFLOW_CONFORMANCE_DIR; later calls install nothing. Exit code 1 if an answer differs
# from LiteRT's or a request is not refused as it should be.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -euo pipefail

LIB="$(cd "$(dirname "${BASH_SOURCE[0]}")/../lib" && pwd)"
# shellcheck source=scripts/lib/env.sh
source "$LIB/env.sh"

(($# <= 1)) || die 2 'give one run directory, or nothing: scripts/conformance/mlserver.sh [RUN_DIR]'
RUN=${1:-}
[[ -z "$RUN" || -f "$RUN/report.json" ]] || die 2 "$RUN: holds no finished run (report.json is missing)"
if [[ -n "${POCKETFLOW_PYTHON:-}" ]]; then VENV_PYTHON=$POCKETFLOW_PYTHON; else ensure_env ''; fi

FOLDER=${POCKETFLOW_CONFORMANCE_DIR:-$ROOT/.conformance}
mkdir -p "$FOLDER"
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

if [[ -z "$RUN" ]]; then
  RUN=$WORK/run
  "$VENV_PYTHON" "$ROOT/main.py" --model=lenet --dataset=digits --learner=chn-pruned-rmt,uniform-tf \
    --nb_epochs_rat=0.05 "--run_dir=$RUN" "--zoo_dir=$WORK/zoo" >"$WORK/log" 2>&1 || { tail -5 "$WORK/log"; die 1 'no run'; }
fi
"$VENV_PYTHON" "$ROOT/main.py" serve init "$RUN" "--output=$WORK/model"

if [[ ! -f "$FOLDER/requirements.txt" ]] || ! cmp -s "$WORK/model/requirements.txt" "$FOLDER/requirements.txt"; then
  say "Installing MLServer into $FOLDER/venv ..."
  "${PYTHON:-python3}" -m venv --clear "$FOLDER/venv"
  "$FOLDER/venv/bin/python" -m pip install --quiet --quiet --disable-pip-version-check -r "$WORK/model/requirements.txt"
  cp "$WORK/model/requirements.txt" "$FOLDER/requirements.txt"
fi
"$FOLDER/venv/bin/python" -m pip list --disable-pip-version-check 2>/dev/null \
  | grep -iE '^(mlserver|ai-edge-litert|numpy|protobuf|grpcio|uvloop) '
export POCKETFLOW_MLSERVER=$FOLDER/venv/bin/mlserver
"$VENV_PYTHON" "$ROOT/main.py" serve test "$WORK/model" "--run_dir=$RUN"
"$VENV_PYTHON" "$ROOT/scripts/conformance/malformed.py" "$WORK/model"
printf '\nwith batches joined by MLServer itself:\n'
"$VENV_PYTHON" "$ROOT/scripts/conformance/malformed.py" "$WORK/model" --server_batching
