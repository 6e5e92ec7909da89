# Installs Python packages into a folder of `.tools`. To be sourced.

# python_packages WHO FOLDER ARGUMENT...: what `pip install` is given. Does nothing where the folder holds
# just that; says why in the name of WHO, and returns 1, where it cannot.
python_packages() {
    # Not `folder`: whoever sources this may have a read-only variable of that name.
    local who=$1 into=$2
    shift 2
    [ "$(cat "$into/.installed" 2>/dev/null)" = "$*" ] && return
    if ! python3 -m pip --version >/dev/null 2>&1; then
        echo "$who: there is no python3 with pip to install $* with" >&2
        return 1
    fi
    echo "$who: installing $* into .tools"
    rm -rf "$into"
    mkdir -p "$into"
    if ! python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
        --target "$into" "$@"; then
        echo "$who: pip could not install $*" >&2
        return 1
    fi
    echo "$*" >"$into/.installed"
}
