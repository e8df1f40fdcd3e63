"""Errors that a user can fix."""


class UserError(Exception):
    """Something in the options, the data or the run folder is wrong.

    The message names the culprit and the way out; the programs print it without a
    traceback and exit with status 2.
    """


class Diverged(UserError):
    """The loss of a run is no longer finite.

    Args:
      message: names the culprit and the way out.
      step: that found it.
    """

    def __init__(self, message: str, step: int):
        super().__init__(message)
        self.step = step
