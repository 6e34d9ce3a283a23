"""What `kubectl describe` shows."""
from checks import require
from machine import wait_until

CONFIG = """
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: queue-scorer
"""


def refused_configuration(namespace):
    """A configuration that is refused while the picker runs: an event at the pool, in words for people."""
    namespace.pool()
    namespace.pod("worker")
    config = namespace.world.folder / f"{namespace.name}.yaml"
    config.write_text(CONFIG)
    picker = namespace.picker("--config-file", config)
    picker.wait_for_endpoints(1)
    config.write_text(CONFIG.replace("queue-scorer", "no-such-scorer"))
    text = wait_until(lambda: _described(namespace, "no-such-scorer"), lambda: f"no event: {picker.tail()}", 20)
    require("Warning" in text, text)
    return text.strip()


def _described(namespace, word):
    text = namespace.kubectl("describe", "inferencepool", "pool")
    events = text.partition("Events:")[2]
    return events if word in events else ""
