"""Several pickers of one pool."""
import time

from checks import require
from machine import wait_until
from programs import LEASE_SECONDS, TRY_SECONDS

DRAIN_DELAY_SECONDS = 5  # how long a leader goes on after SIGTERM
PORT = 9002
HA = ("--ha-enable-leader-election",)


def leader_is_killed(namespace):
    """Two pickers with leader election behind Envoy: one is ready. Killed, the other is within its lease, and serves."""
    namespace.pool()
    namespace.pod("worker")
    pickers = [namespace.picker(*HA, name=f"replica-{number}") for number in range(2)]
    leader = wait_until(lambda: next((picker for picker in pickers if picker.is_ready()), None),
                        lambda: "no picker is ready: " + pickers[0].tail())
    other = next(picker for picker in pickers if picker is not leader)
    other.wait_for_page()
    other.wait_for_endpoints(1)  # it is warm
    require(not other.is_ready(), "both are ready")
    front = namespace.envoy(*pickers, ready=1)
    require(front.post().status == 200, "the leader does not serve")
    leader.kill()
    killed = time.monotonic()
    # Envoy asks the one that is not ready, too, when the one that was is gone.
    wait_until(lambda: front.post().status == 200, lambda: f"the other never serves: {other.tail()}", 2 * LEASE_SECONDS, 0.1)
    served = time.monotonic() - killed
    wait_until(other.is_ready, lambda: f"the other does not lead: {other.tail()}", 2 * LEASE_SECONDS)
    leads = time.monotonic() - killed
    require(leads <= LEASE_SECONDS + 2 * TRY_SECONDS, f"the other leads only after {leads:.1f} s")
    require(front.post().status == 200, "the new leader does not serve")
    return f"served again after {served:.1f} s, the other leads after {leads:.1f} s (lease {LEASE_SECONDS} s)"


def leader_leaves(namespace):
    """A leader that is told to stop lets its lease go when its drain delay is over: the other does not wait for its end."""
    namespace.pool()
    namespace.pod("worker")
    first = namespace.picker(*HA, name="first")
    wait_until(lambda: first.is_ready(), lambda: f"it does not lead: {first.tail()}")
    second = namespace.picker(*HA, name="second")
    second.wait_for_page()
    began = time.monotonic()
    first.process.terminate()
    wait_until(second.is_ready, lambda: f"the other does not lead: {second.tail()}", 2 * LEASE_SECONDS)
    seconds = time.monotonic() - began
    require(seconds <= DRAIN_DELAY_SECONDS + TRY_SECONDS, f"the other leads only {seconds:.1f} s after SIGTERM")
    return f"the other leads {seconds:.1f} s after SIGTERM"


def both_lose_the_server(namespace):
    """The API server is away for longer than a leader may go without renewing: none is ready. Back, one of them is again."""
    namespace.pool()
    namespace.pod("worker")
    pickers = [namespace.picker(*HA, name=f"replica-{number}") for number in range(2)]

    def ready():
        return sum(picker.is_ready() for picker in pickers)

    wait_until(lambda: ready() == 1, lambda: f"{ready()} are ready: {pickers[0].tail()}")
    namespace.plane.kill_api_server()
    try:
        wait_until(lambda: ready() == 0, lambda: f"{ready()} still lead: {pickers[0].tail()}", LEASE_SECONDS)
    finally:
        namespace.plane.start_api_server()
    began = time.monotonic()
    wait_until(lambda: ready() == 1, lambda: f"{ready()} are ready: {pickers[0].tail()}", 3 * LEASE_SECONDS)
    seconds = time.monotonic() - began
    require(all(picker.running() for picker in pickers), "one of them ended")
    for picker in pickers:
        picker.wait_for_endpoints(1, seconds=40)
    require(ready() == 1, "both lead")
    return f"one leads {seconds:.1f} s after the server is back"


def find_each_other_by_a_service(namespace):
    """Three pickers behind a Service find each other by its EndpointSlices, and one less when one is gone."""
    namespace.pool()
    namespace.pod("worker")
    secret = namespace.world.folder / f"{namespace.name}-secret"
    secret.write_text("the secret of these pickers\n")
    pickers = []
    addresses = [namespace.address() for _ in range(3)]
    namespace.create("Service", "pickers", spec={"clusterIP": "None", "ports": [{"name": "grpc", "port": PORT}]})
    namespace.slice_of("pickers", addresses, PORT)
    for address in addresses:
        pickers.append(namespace.picker("--peers-service", "pickers", "--peers-secret-file", secret, name="replica",
                                        host=address, port=PORT))
    for picker in pickers:
        picker.wait_for_line("sharing load and sessions with 2 other")
    pickers[2].kill()
    namespace.slice_of("pickers", addresses[:2], PORT)
    for picker in pickers[:2]:
        picker.wait_for_line("sharing load and sessions with 1 other")
