"""Why a rollout stopped, or was not begun."""


class RolloutError(RuntimeError):
    """The message names the host, says what is wrong and what to do."""


class RolloutRefused(RolloutError):
    """Nothing was begun: no host was told anything."""
