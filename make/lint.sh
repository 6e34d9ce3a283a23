#!/bin/sh
# lint.sh [FILE...]: holds C++ files against .clang-format and .clang-tidy; by default those that differ from
# the main branch, committed or not.
set -eu

cd "$(dirname "$0")/.."
if [ $# -eq 0 ]; then
  base=$(git merge-base HEAD origin/main 2>/dev/null || git merge-base HEAD main 2>/dev/null || echo HEAD)
  set -- $({ git diff --name-only --diff-filter=d "$base" -- '*.cc' '*.h'
             git ls-files --others --exclude-standard -- '*.cc' '*.h'; } | sort -u)
fi
if [ $# -eq 0 ]; then
  echo "No C++ file differs from the main branch."
  exit 0
fi

status=0
echo "clang-format: $# files"
clang-format-14 --dry-run -Werror "$@" || status=1

sources=
for file in "$@"; do
  case $file in *_fuzz.cc) ;; *.cc) sources="$sources $file" ;; esac
done
if [ -n "$sources" ]; then
  echo "clang-tidy: $(echo $sources | wc -w) sources"
  # The compile commands are g++'s: clang need not know all of its warnings.
  printf '%s\n' $sources | xargs -P 2 -n 4 clang-tidy-14 --quiet -p build/release \
    --warnings-as-errors='*' --extra-arg=-Wno-unknown-warning-option || status=1
fi
exit $status
