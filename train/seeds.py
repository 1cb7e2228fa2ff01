"""Random states that derive from what they are for, so that nothing random has to be kept.

The state of an image's augmentation is a hash of (seed, epoch, index), that of a step one of (seed,
step). Who computes it, in which order and after what doesn't matter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager


def derived(*parts: int | str) -> int:
    """A seed of 63 bits from what it is for."""
    text = "/".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


@contextmanager
def seeded(*parts: int | str) -> Iterator[None]:
    """Torch's random state on the CPU as derived from the parts; afterwards as it was before."""
    import torch

    before = torch.get_rng_state()
    torch.default_generator.manual_seed(derived(*parts))
    try:
        yield
    finally:
        torch.set_rng_state(before)
