#!/bin/sh
# run_fuzzers.sh SECONDS [FUZZER...]: runs the fuzzers in build/fuzz/fuzzers (all of them by default) for that
# long each, two at a time. Fails when one finds something, and says where the input lies.
set -eu

seconds=$1
shift
cd "$(dirname "$0")/../build/fuzz"
mkdir -p corpus findings logs

if [ "${1:-}" = --one ]; then
  name=$2
  mkdir -p "corpus/$name"
  if "fuzzers/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -verbosity=1 \
    -artifact_prefix="findings/$name-" "corpus/$name" >"logs/$name.log" 2>&1; then
    echo "$name: no finding ($(sed -n 's/^Done \([0-9]*\) runs.*/\1 runs/p' "logs/$name.log"))"
    exit 0
  fi
  echo "$name: FOUND SOMETHING; the input lies in build/fuzz/findings, the report in build/fuzz/logs/$name.log:"
  grep -E "ERROR|runtime error|SUMMARY" "logs/$name.log" | head -5
  exit 1
fi

[ $# -gt 0 ] || set -- $(ls fuzzers)
echo "Running $# fuzzers for $seconds s each, two at a time."
printf '%s\n' "$@" | xargs -P 2 -I{} ../../make/run_fuzzers.sh "$seconds" --one {}
