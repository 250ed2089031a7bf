#!/bin/sh
# Makes .venv from uv.lock with the newest Python >= 3.12 that this machine has. Needs nothing else: uv comes from PyPI.
set -eu
cd "$(dirname "$0")/../.."

suits() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1
}

# Newest first. A pyenv shim without its version behind it fails to run and is passed over.
find_python() {
    for name in python3.15 python3.14 python3.13 python3.12 python3 python; do
        found=$(command -v "$name" 2>/dev/null) || continue
        if suits "$found"; then
            echo "$found"
            return
        fi
    done
    for minor in 15 14 13 12; do
        for found in "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/3."$minor".*/bin/python3; do
            if [ -x "$found" ] && suits "$found"; then
                echo "$found"
                return
            fi
        done
    done
    echo "Solaris needs Python 3.12 or newer, and this machine has none on PATH or in pyenv" >&2
    exit 1
}

# Where no home can be written to (a service's user, a container's), downloads are kept here.
if ! { mkdir -p "${XDG_CACHE_HOME:-${HOME:-}/.cache}/uv" && [ -w "${XDG_CACHE_HOME:-${HOME:-}/.cache}/uv" ]; } 2>/dev/null; then
    export UV_CACHE_DIR="${UV_CACHE_DIR:-$PWD/.uv/cache}" PIP_NO_CACHE_DIR=1
fi

python=$(find_python)
# The program itself, not a shim whose answer depends on the folder.
python=$("$python" -c 'import os, sys; print(os.path.realpath(sys.executable))')

if command -v uv >/dev/null 2>&1; then
    uv=uv
else
    uv=.uv/bin/uv
    if ! [ -x "$uv" ]; then
        echo "installing uv into .uv"
        "$python" -m venv .uv
        .uv/bin/python -m pip --quiet --disable-pip-version-check install 'uv>=0.9,<1'
    fi
fi

echo "installing the environment with $("$python" --version)"
UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=.venv "$uv" sync --quiet --frozen --python "$python"
