"""grpcio instead of Envoy: other people's gRPC talks to the picker, message by message."""
import subprocess
from pathlib import Path

from world import require


def grpcio_talks_to_it(world):
    """grpc_picker.py: exchanges in every body mode, refusals and the health service, by grpcio."""
    with world.front() as front:
        done = subprocess.run([world.python, Path(__file__).parent / "grpc_picker.py", str(front.picker.port),
                               str(front.picker.health_port), ",".join(world.names)],
                              capture_output=True, text=True, timeout=120)
        require(done.returncode == 0, done.stdout[-500:] + done.stderr[-1500:])
