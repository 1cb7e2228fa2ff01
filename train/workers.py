"""Processes that train one network together: who has which part, and what they agree on.

Every one holds the whole network. A batch is cut into equal parts, one for each; the mean of their
gradients is that of the batch. Losses are averaged too, so all know the same numbers, and only the
first writes files. A process alone is the first of one, and nothing here does anything for it.

BatchNorm takes its statistics from a process's own part, as with a smaller batch; the running ones
are the first process's.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from palmette.space.errors import expect

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.futures import Future


@dataclass(frozen=True, slots=True)
class Workers:
    """A process's place among those of a training, which are torch's default process group."""

    rank: int = 0
    count: int = 1
    beside: int = 1
    """Of them on the same machine, this one included."""

    @property
    def leads(self) -> bool:
        """Whether this one writes files and tells of progress."""
        return self.rank == 0

    @property
    def salt(self) -> tuple[int, ...]:
        """What random states of this process derive from besides; the first's are one alone's."""
        return (self.rank,) if self.rank else ()

    def part(self, batch: int) -> slice:
        """Images of a batch that are this one's; `batch` must be a multiple of `count`."""
        size = batch // self.count
        return slice(self.rank * size, (self.rank + 1) * size)

    def parallel(self, module: nn.Module, in_order: bool) -> nn.Module:
        """The module, its gradients averaged over all as they come.

        Args:
            module: equal on all, with equal weights.
            in_order: sum gradients in the order of ranks. Faster ways have an order that depends on
                how gradients are bundled, and that changes after a restart.
        """
        if self.count == 1:
            return module
        from torch.nn.parallel import DistributedDataParallel

        device = next(module.parameters()).device
        parallel = DistributedDataParallel(
            module,
            device_ids=[device] if device.type == "cuda" else None,
        )
        if in_order:
            # torch looks at a hook's annotations; this one has none
            parallel.register_comm_hook(self, lambda own, bucket: _mean_in_order(own, bucket))
        return parallel

    def waiting(self, parallel: nn.Module) -> AbstractContextManager[None]:
        """Context in which gradients only add up here: more of the step are to come."""
        if self.count == 1:
            return nullcontext()
        found: AbstractContextManager[None] = parallel.no_sync()  # type: ignore[operator]
        return found

    def mean(self, value: Tensor) -> Tensor:
        """Mean over all."""
        if self.count == 1:
            return value
        import torch.distributed as dist

        total = value.clone()
        dist.all_reduce(total)
        return total / self.count

    def interleaved(self, rows: Tensor) -> Tensor:
        """Rows (n, k) of all, (sum of n, k), as if they had been dealt out one after the other."""
        if self.count == 1:
            return rows
        import torch
        import torch.distributed as dist

        total = torch.tensor(len(rows), device=rows.device)
        dist.all_reduce(total)
        every = rows.new_zeros((int(total), rows.shape[1]))
        every[self.rank :: self.count] = rows
        dist.all_reduce(every)  # to zeros: exact
        return every

    def share_buffers(self, module: nn.Module) -> None:
        """Give all the first's buffers: its running statistics are those that count."""
        if self.count == 1:
            return
        import torch.distributed as dist

        for buffer in module.buffers():
            dist.broadcast(buffer, 0)

    def expect_equal(self, number: int, message: str) -> None:
        """Raise InputError(message) on all unless all have the same number."""
        if self.count == 1:
            return
        import torch
        import torch.distributed as dist

        backend = dist.get_backend()
        ends = torch.tensor([number, -number], device="cuda" if backend == "nccl" else "cpu")
        dist.all_reduce(ends, dist.ReduceOp.MAX)
        largest, smallest = ends.tolist()
        expect(largest == -smallest, message)


ALONE = Workers()


def _mean_in_order(workers: Workers, bucket: Any) -> Future[Tensor]:
    """Gradients of a bucket, the ranks' added one after the other."""
    import torch
    import torch.distributed as dist

    own = bucket.buffer()
    parts = [torch.empty_like(own) for _ in range(workers.count)]
    work = dist.all_gather(parts, own, async_op=True)

    def mean(_: Any) -> Tensor:
        total = parts[0]
        for part in parts[1:]:
            total += part
        return total / workers.count

    done: Callable[..., Future[Tensor]] = work.get_future().then
    return done(mean)
