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

ensure_env test
"$ROOT/scripts/install_horovod.sh"
cd "$ROOT"
"$VENV_PYTHON" -m ruff check .
"$VENV_PYTHON" -m ruff format --check .
"$ROOT/scripts/check_types.sh"
# The quick way to follow lines; older ones cost up to half of the tests' time.
"$VENV_PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 12))' >/dev/null && export COVERAGE_CORE=sysmon
exec "$VENV_PYTHON" -m pytest -n 2 --dist=loadfile "$@"
