#!/bin/sh
# Prints how many compilers may run at once: one a processor, and about 3 GB of free memory each.
set -eu
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
if [ -r /proc/meminfo ]; then
  by_memory=$(awk '/^MemAvailable:/ { print int($2 / 3000000) }' /proc/meminfo)
  if [ "${by_memory:-1}" -lt "$jobs" ]; then jobs=$by_memory; fi
fi
if [ "$jobs" -lt 1 ]; then jobs=1; fi
echo "$jobs"
