"""The mistakes a user can mend."""


class UserError(Exception):
    """Something in the options, the data or the run folder is wrong.

    The message names the culprit and the way out; the programs print it without a
    traceback and exit with status 2.
    """
