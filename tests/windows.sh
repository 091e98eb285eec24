#!/bin/sh
# Builds rapt for Windows on x86-64 by Debian's mingw-w64 and runs it under Wine.
#   sh tests/windows.sh            # the first example, tests of files, threads, kernels and training, a translator
#   sh tests/windows.sh --quick    # the first example and three test files
#   sh tests/windows.sh tests/text/lines_test.cpp tests/text/bleu_test.cpp    # these test files
# Test files of one room are compiled together. A file FILE.log in build/windows has what the compiler or the program
# FILE printed. The table at the end counts tests by file and names those that were skipped, with their reasons.
set -eu
cd "$(dirname "$0")/.."
root=$PWD/build/windows
mkdir -p "$root/headers" "$root/tests" "$root/libraries/include" "$root/libraries/objects" "$root/sources"

# A disk of half a megabyte, where the system lets us mount one, to be full.
finish() {
  status=$?
  [ ! -e "$root/small/mounted" ] || umount "$root/small"
  exit $status
}
trap finish EXIT

quick=no
if [ "${1-}" = --quick ]; then
  quick=yes
  shift
fi
everything=$([ $quick = no ] && [ $# = 0 ] && echo yes || echo no)
if [ $quick = yes ]; then
  set -- tests/core/system_test.cpp tests/core/atomic_file_test.cpp tests/core/cpu_features_test.cpp
elif [ $# = 0 ]; then
  set -- tests/core/system_test.cpp tests/core/atomic_file_test.cpp tests/core/input_file_test.cpp \
    tests/core/cpu_features_test.cpp tests/core/terminal_test.cpp tests/core/local_time_test.cpp \
    tests/core/first_use_test.cpp tests/core/checks_test.cpp tests/core/memory_test.cpp \
    tests/core/thread_pool_test.cpp tests/core/fork_test.cpp \
    tests/io/random_access_file_test.cpp tests/io/safetensors_test.cpp \
    tests/kernels/simd_test.cpp tests/kernels/softmax_test.cpp tests/kernels/gemm/gemm_test.cpp \
    tests/kernels/gemm/int8_test.cpp \
    tests/train/run_folder_test.cpp tests/train/progress_test.cpp tests/train/checkpoint_test.cpp \
    tests/train/job_test.cpp
fi

sh cmake/install_packages.sh g++-mingw-w64-x86-64-posix wine64 libeigen3-dev nlohmann-json3-dev libcli11-dev \
  googletest python3

compiler=x86_64-w64-mingw32-g++-posix
for library in eigen3 nlohmann CLI; do  # never all of /usr/include, whose other headers are Linux's
  [ -e "$root/headers/$library" ] || cp -r "/usr/include/$library" "$root/headers/"
done
# The flags that rapt's CMake target has for g++ on Windows are in the second line.
flags="-std=c++20 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Iinclude -I. -Iexamples \
  -Wa,-muse-unaligned-vector-move -DRAPT_UNALIGNED_VECTOR_MOVES \
  -isystem $root/headers -isystem $root/headers/eigen3 -isystem $root/libraries/include -Wa,-mbig-obj"

# build OUTPUT ARGUMENT...: compiles, or stops with what the compiler says; warnings are errors.
build() {
  output=$1
  shift
  # shellcheck disable=SC2086  # a list of flags
  if ! nice $compiler $flags -Werror "$@" -o "$output" >"$output.log" 2>&1; then
    head -50 "$output.log" >&2
    return 1
  fi
}

# Wine -----------------------------------------------------------------------------------------------------------------

wine=$(command -v wine64 || echo /usr/lib/wine/wine64)
export WINEPREFIX="$root/wine" WINEDEBUG=-all WINEDLLOVERRIDES="mscoree=d;mshtml=d;winedbg.exe=d"
[ -f "$WINEPREFIX/system.reg" ] || "$wine" wineboot -i >"$root/wineboot.log" 2>&1
echo "$($compiler --version | head -1), $("$wine" --version)"

# The first example ----------------------------------------------------------------------------------------------------

grep -E '^(step [0-9]+  loss|[0-9]+ of 100 unseen)' README.md >"$root/expected.txt"
[ -s "$root/expected.txt" ]

# check_first PROGRAM LEVEL: runs it and compares with the README.
check_first() {
  RAPT_SIMD=$2 timeout 300 "$wine" "$root/$1" 2>"$root/$1.stderr" | tr -d '\r' >"$root/$1.txt"
  if ! cmp -s "$root/expected.txt" "$root/$1.txt"; then
    echo "$1 at $2 prints something else than README.md says:" >&2
    cat "$root/$1.txt" "$root/$1.stderr" >&2
    return 1
  fi
  echo "$1 at $2: prints what README.md says"
}

if [ $quick = yes ] || [ $everything = yes ]; then
  echo "=== examples/first.cpp"
  build "$root/first.s" -O2 -S examples/first.cpp
  $compiler -Wa,-muse-unaligned-vector-move -static "$root/first.s" -o "$root/first.exe"
  check_first first.exe avx512  # or the best level that there is
fi
if [ $everything = yes ]; then
  check_first first.exe avx2
  check_first first.exe baseline
  # Debian's g++ moves all vectors by instructions that need no alignment; others' do not (GCC's bug 54412). Here is
  # what these would make of the vectors on the stack.
  echo "=== examples/first.cpp with aligned moves of vectors on the stack"
  sed -E '/%[yz]mm/{/\(%r[sb]p\)/{s/vmovups/vmovaps/;s/vmovdqu(32|64)/vmovdqa\1/;s/vmovdqu\t/vmovdqa\t/}}' \
    "$root/first.s" >"$root/aligned.s"
  echo "$(diff "$root/first.s" "$root/aligned.s" | grep -c '^>') moves"
  $compiler -static "$root/aligned.s" -o "$root/aligned.exe"
  $compiler -Wa,-muse-unaligned-vector-move -static "$root/aligned.s" -o "$root/repaired.exe"
  if check_first aligned.exe avx2 2>/dev/null; then
    echo "aligned.exe at avx2: runs (its stack happened to be aligned, or the processor lacks AVX2)"
  else
    echo "aligned.exe at avx2: ends with an error"
  fi
  check_first repaired.exe avx2
  check_first repaired.exe avx512
fi

# Tests ----------------------------------------------------------------------------------------------------------------

google=/usr/src/googletest/googletest
if [ ! -f "$root/gtest_main.o" ]; then
  for file in gtest-all gtest_main; do
    nice $compiler -std=c++20 -O1 -I$google/include -I$google -c "$google/src/$file.cc" -o "$root/$file.o"
  done
fi

# Libraries whose sources Debian has, for test files that need them and for the translator.
need_libraries() {
  [ ! -f "$root/libraries/complete" ] || return 0
  mkdir -p "$root/sources/lists/partial" "$root/sources/cache/archives/partial"
  echo "deb-src http://deb.debian.org/debian bookworm main" >"$root/sources/list"
  (
    cd "$root/sources"
    set -- -qq -o "Dir::Etc::sourcelist=$PWD/list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$PWD/lists" \
      -o "Dir::Cache=$PWD/cache"
    apt-get "$@" update
    apt-get "$@" source --download-only utf8proc pcre2 2>/dev/null
    for archive in *.orig.tar.gz; do tar xf "$archive"; done
    cd utf8proc-*/
    nice x86_64-w64-mingw32-gcc-posix -O1 -DUTF8PROC_STATIC -c utf8proc.c -o "$root/libraries/objects/utf8proc.o"
    cp utf8proc.h "$root/libraries/include/"
    cd ../pcre2-*/src
    cp config.h.generic config.h
    cp pcre2.h.generic pcre2.h
    cp pcre2_chartables.c.dist pcre2_chartables.c
    for file in auto_possess chartables chkdint compile config context convert dfa_match error extuni find_bracket \
      jit_compile maketables match match_data newline ord2utf pattern_info script_run serialize string_utils study \
      substitute substring tables ucd valid_utf xclass; do
      [ ! -f pcre2_$file.c ] || nice x86_64-w64-mingw32-gcc-posix -O1 -DHAVE_CONFIG_H -DPCRE2_CODE_UNIT_WIDTH=8 \
        -DSUPPORT_UNICODE -DPCRE2_STATIC -I. -c pcre2_$file.c -o "$root/libraries/objects/pcre2_$file.o"
    done
    cp pcre2.h "$root/libraries/include/"
  )
  touch "$root/libraries/complete"
}

mkdir -p "$root/small"
if [ ! -e "$root/small/mounted" ] && mount -t tmpfs -o size=512k none "$root/small" 2>/dev/null; then
  : >"$root/small/mounted"
fi
[ ! -e "$root/small/mounted" ] || export RAPT_SMALL_DISK="Z:$root/small/disk"
mkdir -p "$root/small/disk"

rm -f "$root"/tests/*.xml
for room in $(printf '%s\n' "$@" | sed -E 's#^tests/([^/]+)/.*#\1#' | sort -u); do
  objects=""
  if printf '%s\n' "$@" | grep -q -E '^tests/(text|pretrained|pipelines|data|finetune)/'; then
    need_libraries
    objects="-DUTF8PROC_STATIC -DPCRE2_STATIC $root/libraries/objects/*.o"
  fi
  files=$(printf '%s\n' "$@" | grep "^tests/$room/")
  echo "=== tests/$room: $(echo "$files" | wc -l) files"
  # Each file in a namespace of its own, behind what all include.
  python3 - "$root/tests/$room.cpp" $files <<'END'
import re, sys
includes, text = [], ""
for number, name in enumerate(sys.argv[2:]):
    for line in open(name, encoding="utf-8"):
        if line.startswith("#include") and not re.search(r"<(sys/|pty)", line) and line not in includes:
            includes.append(line)
    text += f'namespace file_{number} {{\n#include "{name}"\n}}\n'
open(sys.argv[1], "w", encoding="utf-8").write("".join(includes) + text)
END
  # shellcheck disable=SC2086  # lists of flags
  build "$root/tests/$room.exe" -O1 -isystem $google/include -DRAPT_GOLDEN_DIR="\"Z:$PWD/tests/golden\"" \
    -DRAPT_DATA_DIR="\"Z:$PWD/../shared/data\"" "$root/tests/$room.cpp" "$root/gtest-all.o" \
    "$root/gtest_main.o" $objects -static
  timeout 1200 "$wine" "$root/tests/$room.exe" --gtest_brief=1 --gtest_output="xml:Z:$root/tests/$room.xml" \
    >"$root/tests/$room.out" 2>&1 || { tail -50 "$root/tests/$room.out" >&2; failed=yes; }
done

# A translator ---------------------------------------------------------------------------------------------------------

# Trained on a small corpus, killed and resumed, on one thread and on two, and by the program that g++ makes for Linux.
train_translators() {
  need_libraries
  build "$root/translate.exe" -O2 -DUTF8PROC_STATIC -DPCRE2_STATIC examples/translate.cpp \
    "$root"/libraries/objects/*.o -static
  sh cmake/install_packages.sh g++ libutf8proc-dev libpcre2-dev
  nice g++ -std=c++20 -O2 -Iinclude -Iexamples -isystem /usr/include/eigen3 examples/translate.cpp -pthread \
    -lutf8proc -lpcre2-8 -o "$root/translate"
  runs=$root/translators
  rm -rf "$runs"
  mkdir -p "$runs"
  awk 'BEGIN { split("zero one two three four five six seven eight nine", word, " "); x = 1
    for (i = 0; i < 3000; i++) { from = to = ""
      for (j = 0; j <= i % 6; j++) { x = (x * 16807) % 2147483647; d = x % 10
        from = from (j ? " " : "") d; to = word[d + 1] (j ? " " : "") to }
      print from "\t" to } }' >"$runs/pairs.tsv"
  cd "$runs"
  options="train --pairs pairs.tsv --vocabulary 100 --hold-out 100 --layers 1 --tokens 512 --warmup 50 --steps 600 \
    --validate-every 200 --learning-rate 3e-3"
  for level in baseline avx512; do
    export RAPT_SIMD=$level
    # shellcheck disable=SC2086  # lists of options
    for threads in 1 2; do
      RAPT_THREADS=$threads "$wine" "$root/translate.exe" $options --checkpoint-every 0 --model "$threads-$level" \
        >"$threads-$level.out" 2>&1
    done
    "$root/translate" $options --checkpoint-every 0 --model "linux-$level" >"linux-$level.out" 2>&1
  done
  RAPT_THREADS=2 "$wine" "$root/translate.exe" $options --model killed --folder run --checkpoint-every 20 --log-every 10 \
    >killed.out 2>&1 &
  process=$!
  for _ in $(seq 600); do  # until the checkpoint of step 40 or a later one is there
    sleep 0.1
    ! grep -q -E '"step":([4-9][0-9]|[0-9]{3})' run/log.jsonl 2>/dev/null || break
  done
  kill -9 $process || true
  wait $process || true
  [ -f run/checkpoint.safetensors ]
  [ ! -f killed ]
  RAPT_THREADS=1 "$wine" "$root/translate.exe" $options --model killed --folder run --checkpoint-every 20 --log-every 10 \
    --resume >resumed.out 2>&1
  echo "the last line of the run that goes on: $(tr '\r' '\n' <resumed.out | grep . | tail -1)"
  same() {
    if cmp -s "$1" "$2"; then echo "equal bits: $3"; else echo "other bits: $3" && [ "$4" = may ]; fi
  }
  same 1-avx512 2-avx512 "one thread and two, at the best level" must
  same 1-baseline 2-baseline "one thread and two, at baseline" must
  same 1-avx512 killed "undisturbed, and killed and resumed" must
  same 1-avx512 linux-avx512 "Windows and Linux, at the best level" may
  same 1-baseline linux-baseline "Windows and Linux, at baseline" may
  for name in 1 linux; do
    run=$root/translate system=Linux
    [ $name = linux ] || run="$wine $root/translate.exe" system=Windows
    $run run --model $name-avx512 <$name-avx512.test.source 2>/dev/null | tr -d '\r' >$name.translations
    echo "$system: $(paste $name.translations $name-avx512.test.target | tr -d '\r' |
      awk -F '\t' '$1 == $2 { n++ } END { print n + 0, "of", NR }') unseen sentences right"
  done
}
if [ $everything = yes ]; then
  echo "=== examples/translate.cpp"
  (train_translators)
fi

# The table ------------------------------------------------------------------------------------------------------------

python3 - "$root"/tests/*.xml <<'END'
import collections, sys, xml.etree.ElementTree as tree
rows, skipped = collections.defaultdict(collections.Counter), []
for name in sys.argv[1:]:
    for case in tree.parse(name).iter("testcase"):
        row = rows[case.get("file").replace("\\", "/").removeprefix("./")]
        row["seconds"] += float(case.get("time"))
        result = "failed" if case.find("failure") is not None else "passed"
        if case.get("result") == "skipped":
            result = "skipped"
            reason = case.find("skipped").get("message").split("\n")[-1].strip()
            skipped.append(f'{case.get("classname")}.{case.get("name")}: {reason}')
        row[result] += 1
print(f'{"test file":46} passed skipped failed seconds')
for name, row in sorted(rows.items()):
    print(f'{name:46} {row["passed"]:6} {row["skipped"]:7} {row["failed"]:6} {row["seconds"]:7.1f}')
print("skipped:", *skipped, sep="\n  ")
END
[ "${failed-no}" = no ]
