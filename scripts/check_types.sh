#!/usr/bin/env bash
# Checks the types of the package with the mypy in .venv; its settings are in pyproject.toml.
#
#   scripts/check_types.sh [mypy's arguments]
#
# mypy does not know that setup.py maps `pocketflow` to the root of the repository: it is given a folder in which
# that is so.
set -euo pipefail

# shellcheck source=scripts/lib/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/env.sh"

AS_PACKAGE=$ROOT/.mypy_cache/as_package
mkdir -p "$AS_PACKAGE"
ln -sfn "$ROOT" "$AS_PACKAGE/pocketflow"
cd "$AS_PACKAGE"
exec "$VENV_PYTHON" -m mypy --config-file "$ROOT/pyproject.toml" "$@"
