# Installs Python packages into a folder of `.tools`. To be sourced.

# python_packages WHO FOLDER ARGUMENT...: what `pip install` is given. Does nothing where the folder holds
# just that; says why in the name of WHO, and returns 1, where it cannot.
python_packages() {
    local who=$1 folder=$2
    shift 2
    [ "$(cat "$folder/.installed" 2>/dev/null)" = "$*" ] && return
    if ! python3 -m pip --version >/dev/null 2>&1; then
        echo "$who: there is no python3 with pip to install $* with" >&2
        return 1
    fi
    echo "$who: installing $* into .tools"
    rm -rf "$folder"
    mkdir -p "$folder"
    if ! python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
        --target "$folder" "$@"; then
        echo "$who: pip could not install $*" >&2
        return 1
    fi
    echo "$*" >"$folder/.installed"
}
