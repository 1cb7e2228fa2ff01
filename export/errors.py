"""The exception for a package that does not hold what it should."""


class ExportError(RuntimeError):
    """A package could not be made, or what was read back from it differs from the torch module.

    Not the user's fault (that is `InputError`): the message names layer or op and the difference.
    """
