# The environment in .venv, for the other scripts; to be sourced by bash, not run.
#
#   HEADSTART_VENV=FOLDER    use this environment instead of .venv
#   HEADSTART_INSTALLED=1    take the environment as it is: make and install nothing
#   PYTHON=PROGRAM           the Python that makes the environment [python3]

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${HEADSTART_VENV:-$root/.venv}
# Nobody may be there to answer, and a hint that pip itself is old helps nobody either.
export PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "Error: $*"
    exit 1
}

# Print a command as it would be typed, then run it.
run() {
    local word line=
    for word in "$@"; do
        [[ $word =~ ^[A-Za-z0-9_./=:,+-]+$ ]] || word="'$word'"
        line+=" $word"
    done
    printf '\n$%s\n' "$line"
    "$@"
}

# Make the environment if it is absent or was left half made.
make_venv() {
    local python=${PYTHON:-python3} fits='import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'
    if "$venv/bin/python" -c 'import pip' 2>/dev/null; then
        "$venv/bin/python" -c "$fits" ||
            fail "$venv has $("$venv/bin/python" --version 2>&1), and Headstart needs 3.11 to 3.13." \
                "Delete it and run this again with one of these: PYTHON=python3.12 $0"
        return
    fi
    command -v "$python" >/dev/null ||
        fail "There is no $python. Install Python 3.11, 3.12 or 3.13, or name it: PYTHON=python3.12 $0"
    "$python" -c "$fits" ||
        fail "$("$python" --version 2>&1) does not fit: Headstart needs Python 3.11 to 3.13, for which there" \
            "is TensorFlow. Name one: PYTHON=python3.12 $0"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python cannot make virtual environments: its venv module is not installed." \
            "On Debian and Ubuntu: apt-get install -y python3-venv"
    say "Making the environment $venv"
    "$python" -m venv "$venv"
}

# install EXTRA: bring the package and one extra (or none: "") into the environment, unless the very
# same was installed before. A sum over the two files that decide it says whether it was.
install() {
    local extra=$1 sum
    [ -z "${HEADSTART_INSTALLED:-}" ] || return 0
    make_venv
    sum=$(cat "$root/pyproject.toml" "$root/constraints.txt" | cksum)
    sum+=" $root"
    if [ "$(cat "$venv/.headstart-$extra" 2>/dev/null)" = "$sum" ]; then
        return
    fi
    # An extra brings the package itself along.
    if [ -z "$extra" ] && grep -qsxF "$sum" "$venv"/.headstart-*; then
        return
    fi
    say "Installing Headstart${extra:+ with the extra '$extra'} into $venv (some minutes the first time)"
    "$venv/bin/python" -m pip install -q -c "$root/constraints.txt" -e "$root${extra:+[$extra]}" ||
        fail "The installation failed; pip says why above. It needs access to a package index."
    printf '%s\n' "$sum" >"$venv/.headstart-$extra"
}
