"""python3 -m dynamo.frontend: the gateway.

--http-port, --http-host and --router-mode are Dynamo's (also DYN_HTTP_PORT and DYN_ROUTER_MODE); where the workers are
says KVASIR_FRONTEND_FLAGS, flags of `kvasir gateway`: "--pool-name POOL" or "--dns SERVICE:8000".
"""
import argparse
import os
import shlex
import sys

MODES = {"kv": "kv", "round-robin": "round-robin", "random": "random"}


def main():
    parser = argparse.ArgumentParser("dynamo.frontend", description=__doc__)
    parser.add_argument("--http-port", default=os.environ.get("DYN_HTTP_PORT", "8000"))
    parser.add_argument("--http-host", default="0.0.0.0")
    parser.add_argument("--router-mode", choices=MODES, default=os.environ.get("DYN_ROUTER_MODE") or "round-robin")
    args, others = parser.parse_known_args()
    if others:
        print("dynamo.frontend: no effect here: " + " ".join(others), file=sys.stderr)
    where = shlex.split(os.environ.get("KVASIR_FRONTEND_FLAGS", ""))
    if not where:
        sys.exit("dynamo.frontend: set KVASIR_FRONTEND_FLAGS, which says where the workers are: '--pool-name POOL' or "
                 "'--dns SERVICE:8000'")
    # Dynamo's frontend asks nobody for a key.
    if not any(word.split("=")[0] in ("--keys", "--anonymous") for word in where):
        where.append("--anonymous")
    os.execv("/usr/bin/kvasir", ["kvasir", "gateway", "--host", args.http_host, "--port", args.http_port, "--policy",
                                 MODES[args.router_mode], *where])


main()
