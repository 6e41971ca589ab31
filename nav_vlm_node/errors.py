"""The one exception that a user is meant to read."""


class UserError(Exception):
    """Something the user can put right. The message is one line: what is wrong, then what to do.

    Command lines print it after the program's name and exit with status 2; the node answers with it.
    """
