"""python3 -m vllm.entrypoints.openai.api_server: the simulated worker, with vLLM's flags."""
import os
import sys

os.execv("/usr/bin/kvasir", ["kvasir", "worker", *sys.argv[1:], "--tutorial-metrics"])
