"""The one exception for whatever comes from outside and breaks a rule."""


class InputError(ValueError):
    """A file, flag, name or value given by the user breaks a rule.

    The message is one line: where (file, row or key), the rule, what came, what to do. The command
    line prints it and exits with code 2; it never shows a traceback for one.
    """


def expect(condition: bool, message: str) -> None:
    """Raise `InputError(message)` unless the condition holds."""
    if not condition:
        raise InputError(message)


def expect_some(name: str, count: int) -> None:
    """Raise `InputError` unless at least one of what is named is asked for."""
    expect(count >= 1, f"{name}: at least 1, got {count}")
