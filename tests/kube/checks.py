"""How a case says that something is not as it should be, or cannot be tried."""


class CheckFailed(Exception):
    """Something went otherwise than the case says."""


class Skipped(Exception):
    """This cannot be tried here, and why."""


def require(condition, what):
    if not condition:
        raise CheckFailed(what)
