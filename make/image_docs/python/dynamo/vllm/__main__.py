"""python3 -m dynamo.vllm: the simulated worker. It answers HTTP on port 8000 and its probes on 9090.

Flags of vLLM go to it as they are; those of Dynamo itself are left out, and told.
"""
import os
import sys

DYNAMO_FLAGS = {"--endpoint": 1, "--connector": 1, "--is-prefill-worker": 0, "--is-decode-worker": 0,
                "--migration-limit": 1, "--dyn-tool-call-parser": 1, "--dyn-reasoning-parser": 1}


def main():
    arguments, given = [], sys.argv[1:]
    while given:
        flag = given.pop(0)
        name = flag.split("=")[0]
        if name in DYNAMO_FLAGS:
            if "=" not in flag:
                given = given[DYNAMO_FLAGS[name]:]
            print(f"dynamo.vllm: {name} has no effect here", file=sys.stderr)
        else:
            arguments.append(flag)
    os.execv("/usr/bin/kvasir", ["kvasir", "worker", "--health-port", os.environ.get("DYN_SYSTEM_PORT", "9090"),
                                 "--tutorial-metrics", *arguments])


main()
