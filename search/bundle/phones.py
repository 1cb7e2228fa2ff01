"""Which choice each machine identifier takes: its own phone's, or that of a phone with its chip."""

from __future__ import annotations

from collections.abc import Iterable

from palmette.latency.phones import machines
from palmette.space.errors import expect


def served_by(phones: Iterable[str]) -> dict[str, tuple[str, bool]]:
    """Identifier -> the phone whose choice it takes, and whether it is that phone itself.

    Phones that are not in the list take what the first one in it with their chip takes.

    Raises:
        InputError: a phone without a known identifier.
    """
    known, wanted = machines(), tuple(dict.fromkeys(phones))
    chips: dict[str, str] = {}
    for phone in wanted:
        chip = next((machine.chip for machine in known if machine.phone == phone), None)
        expect(
            chip is not None,
            f"phone '{phone}': its machine identifier is not known; known phones are"
            f" {', '.join(dict.fromkeys(machine.phone for machine in known))}; leave it out with"
            " --phones",
        )
        chips.setdefault(chip or "", phone)
    found = {}
    for machine in known:
        if machine.phone in wanted:
            found[machine.identifier] = (machine.phone, True)
        elif machine.chip in chips:
            found[machine.identifier] = (chips[machine.chip], False)
    return found
