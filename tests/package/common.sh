# Sourced by the scripts of this folder, with `here` set to it. CMAKE names the cmake to use, CXX the compiler.
# Everything happens in the temporary folder $work.
root=$(cd "$here/../.." && pwd)
cmake=${CMAKE:-cmake}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# quiet COMMAND...: shows what the command printed only if it fails.
quiet() {
  if ! "$@" >"$work/log" 2>&1; then
    cat "$work/log"
    echo "FAILED: $*"
    exit 1
  fi
}

# fails TEXT COMMAND...: the command must fail, and say the text (line breaks and spaces are one space).
fails() {
  text=$1
  shift
  if "$@" >"$work/log" 2>&1; then
    cat "$work/log"
    echo "FAILED to fail: $*"
    exit 1
  fi
  if ! tr -s ' \n' ' ' <"$work/log" | grep -qF -- "$text"; then
    cat "$work/log"
    echo "FAILED to say \"$text\": $*"
    exit 1
  fi
}

# configure FOLDER OPTION...: rapt's libraries alone, in the build folder.
configure() {
  folder=$1
  shift
  "$cmake" -S "$root" -B "$folder" -DRAPT_BUILD_TESTS=OFF -DRAPT_BUILD_EXAMPLES=OFF -DRAPT_BUILD_BENCH=OFF "$@"
}
