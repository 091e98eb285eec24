#!/bin/sh
# Builds the fuzz targets with clang's libFuzzer and sanitizers in build/fuzz/ and runs each for some seconds (default
# 60): tests/fuzz/run.sh [seconds] [name...], where tests/fuzz/NAME_fuzz.cpp is a target; all of them without names.
# Stops at the first finding, whose input stays in build/fuzz/findings/, and fails. In the end a line for each target,
# and the number of inputs of all.
#
# A target brings what it needs: libraries follow from the headers that it includes, others and options of libFuzzer
# stand in its comments (-lNAME, -max_len=N). Seeds are the files of tests/fuzz/seeds/NAME/ and those of lines
# "// seeds: PATTERN...".
# What a run adds to the corpus stays in build/fuzz/corpus/NAME/ for the next one. CXX is the compiler.
set -eu
cd "$(dirname "$0")/../.."

seconds=60
case "${1:-}" in
  ''|*[!0-9]*) ;;
  *) seconds=$1; shift ;;
esac
if [ $# -eq 0 ]; then
  for file in tests/fuzz/*_fuzz.cpp; do
    name=${file##*/}
    set -- "$@" "${name%_fuzz.cpp}"
  done
fi
for name; do
  [ -f "tests/fuzz/${name}_fuzz.cpp" ] || { echo "run.sh: there is no target $name: no tests/fuzz/${name}_fuzz.cpp" >&2; exit 2; }
done

CXX=${CXX:-clang++-14}
command -v "$CXX" > /dev/null || { echo "run.sh: no $CXX: install it or set CXX to a clang with libFuzzer" >&2; exit 2; }
out=build/fuzz
mkdir -p "$out/findings"
memory=/dev/shm
[ -d "$memory" ] || memory=${TMPDIR:-/tmp}
TMPDIR=$(mktemp -d "$memory/rapt-fuzz.XXXXXX")
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
trap 'exit 130' INT TERM
summary=$out/summary.txt
: > "$summary"

# Libraries by the headers in a make rule of dependencies.
libraries_of() {
  for pair in png.h:-lpng zlib.h:-lz utf8proc.h:-lutf8proc pcre2.h:-lpcre2-8; do
    if tr -s ' \\' '\n\n' < "$1" | grep -q "/${pair%%:*}\$"; then echo "${pair#*:}"; fi
  done
}

build() {  # name
  source=tests/fuzz/$1_fuzz.cpp
  flags="-std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined"
  # shellcheck disable=SC2086
  "$CXX" $flags -MD -MF "$out/$1.d" -Iinclude -I. -isystem /usr/include/eigen3 -c "$source" -o "$out/$1.o" || return 1
  libraries=$(libraries_of "$out/$1.d"; grep '^ *//' "$source" | grep -oE '(^| )-l[a-z][a-z0-9_-]*' || true)
  # shellcheck disable=SC2086
  "$CXX" $flags "$out/$1.o" -o "$out/$1_fuzz" $libraries -lpthread
}

status=0
for name; do
  if [ "$status" -ne 0 ]; then
    echo "$name: not run" >> "$summary"
    continue
  fi
  if ! build "$name"; then
    echo "$name: cannot be built" >> "$summary"
    status=1
    continue
  fi
  source=tests/fuzz/${name}_fuzz.cpp
  mkdir -p "$out/corpus/$name" "$out/seeds/$name"
  for pattern in "tests/fuzz/seeds/$name/*" $(sed -n 's|^// seeds: ||p' "$source"); do
    for seed in $pattern; do
      if [ -f "$seed" ]; then cp "$seed" "$out/seeds/$name/"; fi
    done
  done
  options=$(grep '^ *//' "$source" | grep -oE '(^| )-(max_len|malloc_limit_mb)=[0-9]+' | tr '\n' ' ' || true)
  log=$out/$name.log
  # shellcheck disable=SC2086
  if "./$out/${name}_fuzz" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 $options \
       -artifact_prefix="$out/findings/$name-" "$out/corpus/$name" "$out/seeds/$name" > "$log" 2>&1; then
    found=0
  else
    found=1
    status=1
    tail -n 60 "$log"
  fi
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
  took=$(sed -n 's/^Done [0-9]* runs in \([0-9]*\) second.*/\1/p' "$log" | tail -n 1)
  file=$(sed -n 's/^.*Test unit written to //p' "$log" | tail -n 1)
  echo "$name: ${runs:-?} runs, ${took:-less than $seconds} seconds, $found findings${file:+: $file}" >> "$summary"
done
awk '{ inputs += $2 } END { printf "in all: %d inputs of %d targets\n", inputs, NR }' "$summary" > "$summary.all"
cat "$summary" "$summary.all"
exit "$status"
