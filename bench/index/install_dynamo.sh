#!/bin/bash
# Installs Dynamo's Python packages, whose RadixTree dynamo_oracle.py compares with, into build/venv-dynamo (0.5 GB, 2 minutes).
set -eu
cd "$(dirname "$0")/../.."
venv=${1:-build/venv-dynamo}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
# What they declare is far more than this part of them imports.
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps ai-dynamo-runtime==1.6.1 uvloop==0.21.0
"$venv/bin/python" -c 'from dynamo._core import RadixTree'
