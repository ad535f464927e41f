#!/usr/bin/env bash
# Installs one part of what the project needs, below the project's own directory: setup.sh python|node|worker.
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() {
    echo "make setup: $*" >&2
    exit 1
}

fits() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null && fits "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "no Python 3.11 to 3.13 was found: install one, or name it with PYTHON=/path/to/python3 make setup."
}

# --no-compile: of the thousands of modules that come along most are never imported; Python compiles the others as it meets them.
install_python() {
    local python
    if [ ! -x .venv/bin/python ] || ! fits .venv/bin/python; then
        python=$(find_python)
        "$python" -c 'import ensurepip, venv' 2>/dev/null ||
            fail "$python cannot make virtual environments: install its venv package (Debian: apt install python3-venv)."
        echo "setup: making .venv with $("$python" --version)"
        "$python" -m venv --clear .venv
    fi
    echo "setup: installing the Python packages"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements.txt -r infra/local/requirements.txt ||
        fail "pip could not install the packages (above): check the network, or the package index that pip is set to."
    touch .venv/.installed
}

install_node() {
    command -v node >/dev/null || fail "Node.js was not found: install Node.js 20 or newer (the queue service needs it)."
    [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ] ||
        fail "Node.js $(node --version) is too old: install Node.js 20 or newer."
    command -v npm >/dev/null || fail "npm was not found: install it beside Node.js (Debian: apt install npm)."
    echo "setup: installing the npm packages"
    (cd infra/local && npm ci --no-progress --loglevel=error >/dev/null) ||
        fail "npm could not install the packages (above): check the network, or the registry that npm is set to."
    touch infra/local/node_modules/.installed
}

# Microsoft's own worker library: one test lets it index the app. It declares Python 3.13 and works on 3.11 too.
install_worker() {
    echo "setup: installing the Functions worker library for the indexing test"
    rm -rf .local/worker
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --ignore-requires-python \
        --target .local/worker azure-functions-runtime==1.3.0 ||
        fail "pip could not install azure-functions-runtime (above): check the network."
    touch .local/worker/.installed
}

case "${1-}" in
python | node | worker) "install_$1" ;;
*) fail "say which part: python, node or worker." ;;
esac
