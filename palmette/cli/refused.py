"""A value that an option can't take, in our words: the option, the rule, what came, what to do."""

from __future__ import annotations

import re

import typer

NUMBERS = {"float_parsing": "a number", "int_parsing": "a whole number"}
"""Kinds of pydantic's errors, and what was wanted."""
WITH_UNIT = re.compile(r"([-+]?\d[\d.]*)\s*[a-zA-Zµ]+")
IN_NAME = ("-ms", "-mb", "-m", "minutes", "seconds")
"""Ends of options whose names have the unit."""
ELSEWHERE = {"--budget": "milliseconds are given with --budget-ms"}
"""Options that are taken for another."""


def refusal(error: typer.TyperException) -> str:
    """What to print of an error in the command line."""
    errors = getattr(error.__cause__, "errors", None)  # pydantic's, which reads the values
    option = getattr(error, "param", None)
    if option is None or errors is None:
        return error.format_message()
    name, found = option.opts[0], errors()[0]
    if found["type"] not in NUMBERS:
        rule = error.message.removeprefix("Value error, ").rstrip(".")
        return f"{name}: {rule}" + (f"; {ELSEWHERE[name]}" if name in ELSEWHERE else "")
    told = f"{name}: must be {NUMBERS[found['type']]}, got '{found['input']}'"
    number = WITH_UNIT.fullmatch(str(found["input"]))
    if number is None:
        return told
    why = "the unit is in the option's name" if name.endswith(IN_NAME) else "without a unit"
    return f"{told}; write {number[1]}, {why}"
