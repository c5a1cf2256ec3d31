#!/usr/bin/env bash
# Makes .venv in the repository and installs the project into it; does nothing if that was done.
# Usage: source scripts/setup_venv.sh, in bash or zsh, or VENV_EXTRA=dev source ...; afterwards
# "$PYTHON" runs it. The extra is no argument, since a sourced script without arguments sees those of
# its caller. PYTHON=... chooses the interpreter, VENV=... another place than .venv.

# zsh, the shell of macOS, has no BASH_SOURCE, and the name of a sourced script in $0.
_root="$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")/.." && pwd)"
_venv="${VENV:-$_root/.venv}"
_extra="${VENV_EXTRA:-}"
_target="$_root${_extra:+[$_extra]}"

_find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.10 python; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
            2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "no Python 3.10 to 3.13 found; install one, or name it: PYTHON=/path/to/python3.12" >&2
    return 1
}

_make_venv() {
    local python
    [ -x "$_venv/bin/python" ] && return
    python="$(_find_python)" || return
    if command -v uv >/dev/null 2>&1; then
        # --seed: with pip, since without it `pip install` would be that of another Python.
        uv venv --quiet --seed --python "$python" "$_venv"
    else
        "$python" -m venv "$_venv"
    fi
}

_install() {
    if command -v uv >/dev/null 2>&1; then
        echo "installing mobilenetdet${_extra:+[$_extra]} into $_venv with uv"
        uv pip install --quiet --compile-bytecode --python "$_venv/bin/python" --editable "$_target"
        return
    fi
    echo "installing mobilenetdet${_extra:+[$_extra]} into $_venv with pip"
    # A folder that uv has made may have no pip.
    "$_venv/bin/python" -m pip --version >/dev/null 2>&1 ||
        "$_venv/bin/python" -m ensurepip --upgrade >/dev/null || return
    # pip's warnings about the machine's own mirrors are of no use to anyone here.
    "$_venv/bin/python" -m pip install --quiet --quiet --disable-pip-version-check \
        --editable "$_target"
}

_stamp="$_venv/.mobilenetdet${_extra:+-$_extra}"
# Another setup.cfg means other dependencies. What failed is tried again by the next call.
if [ ! -f "$_stamp" ] || ! cmp -s "$_root/setup.cfg" "$_stamp"; then
    _make_venv && _install && cp "$_root/setup.cfg" "$_stamp" || return
fi
PYTHON="$_venv/bin/python"
