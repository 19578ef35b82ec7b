#!/usr/bin/env bash
# Installs the requirements of the tests into .venv, including Horovod, checks style and types, and runs the tests.
#
#   scripts/run_tests.sh [pytest's arguments, paths from the root of the repository]
#
# Two processes share the test files; `-n 0` runs them in one process, for debuggers. `--cov` prints the line coverage,
# which must not fall below the minimum in pyproject.toml.
set -euo pipefail

# shellcheck source=scripts/lib/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/env.sh"

check_style_and_types() {
  "$VENV_PYTHON" -m ruff check . || return
  "$VENV_PYTHON" -m ruff format --check . || return
  exec "$ROOT/scripts/check_types.sh"
}

ensure_env test
cd "$ROOT"
# Both have long stretches that keep one core busy: side by side they take little more than the longer one.
check_style_and_types &
checks=$!
trap 'kill "$checks" 2>/dev/null || true' EXIT
"$ROOT/scripts/install_horovod.sh"
wait "$checks"
trap - EXIT
# The quick way to follow lines with Python 3.12 and newer; tests/measured_lines.py is that of older ones.
"$VENV_PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 12))' >/dev/null && export COVERAGE_CORE=sysmon
exec "$VENV_PYTHON" -m pytest -n 2 --dist=loadfile "$@"
