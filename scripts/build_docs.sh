#!/usr/bin/env bash
# Builds the documentation as a site in site/, which works without a server; broken links are errors.
#
#   scripts/build_docs.sh [further arguments of `mkdocs build`, such as --site-dir=FOLDER]
set -euo pipefail

# shellcheck source=scripts/lib/env.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/env.sh"

ensure_env docs
export NO_MKDOCS_2_WARNING=1 # an announcement of the theme, which is pinned
exec "$VENV_PYTHON" -m mkdocs build --config-file="$ROOT/scripts/site/mkdocs.yml" "$@"
