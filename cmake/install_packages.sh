#!/bin/sh
# Installs the Debian/Ubuntu packages given as arguments, those that are missing only:
#   sh cmake/install_packages.sh g++ cmake libeigen3-dev
set -eu

# A tool counts as present when it can be run, wherever it came from; a library when its package is installed.
is_present() {
  case "$1" in
    g++ | cmake | pkg-config | python3) command -v "$1" >/dev/null ;;
    python3-venv) python3 -c 'import ensurepip' 2>/dev/null ;;
    ninja-build) command -v ninja >/dev/null ;;
    clang-14) command -v clang++-14 >/dev/null ;;
    clang-format-14) command -v clang-format-14 >/dev/null ;;
    *) [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ] ;;
  esac
}

missing=""
for package in "$@"; do
  is_present "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "No apt-get here: please see to it yourself that there is what these packages hold:$missing" >&2
  exit 0 # they may be there under other names: CMake will tell
fi
if [ "$(id -u)" = 0 ]; then
  as_root=""
elif command -v sudo >/dev/null; then
  as_root="sudo"
else
  echo "These packages are missing, and only root can install them (there is no sudo). As root:" >&2
  echo "  apt-get install$missing" >&2
  exit 1
fi

echo "Installing:$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086  # lists of words
{
  $as_root apt-get update -qq || echo "apt-get update failed; trying with the lists that are there" >&2
  if ! $as_root apt-get install -y -qq --no-install-recommends $missing; then
    echo "Could not install:$missing. By hand: apt-get install$missing" >&2
    exit 1
  fi
}
