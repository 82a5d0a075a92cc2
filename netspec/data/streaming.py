"""A part's images read ahead by processes of torch's DataLoader, which live as long as the part."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from netspec.data.dataset import Part, Rows
from netspec.diagnostics import Code, Diagnostic, InputError, SetupError

Read = tuple[Rows, Rows] | tuple[Diagnostic, ...]


class Workers:
    """`count` processes that decode; what becomes of the images is the same without them."""

    def __init__(self, part: Part, count: int) -> None:
        self.order = _Order()
        self.loader: DataLoader[Read] = DataLoader(
            _Samples(part),
            sampler=self.order,
            batch_size=None,
            collate_fn=_same,
            num_workers=count,
            persistent_workers=True,
            worker_init_fn=_begin,
            # Its own, or it would draw from the generator that dropout draws from.
            generator=torch.Generator(),
        )

    def read(self, batches: Iterable[Tensor]) -> Iterator[tuple[Rows, Rows]]:
        """See `Part.read`. Raises SetupError where a process is killed."""
        self.order.batches = batches
        try:
            for read in self.loader:
                if isinstance(read[0], Diagnostic):
                    raise InputError(read)
                yield read
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise SetupError.of(
                Code.ENVIRONMENT,
                f"a process that reads the data was killed: {str(error).splitlines()[0]}",
                remedy="set data.workers lower: 0 reads in netspec's own process",
            ) from None


class _Order:
    """The batches of indices that are read next."""

    batches: Iterable[Tensor] = ()

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.batches)


class _Samples(TorchDataset[Read]):
    """A part by batches of indices. A diagnostic is returned: what a process raises loses all but
    its words."""

    def __init__(self, part: Part) -> None:
        self.part = part

    def __getitem__(self, indices: Tensor) -> Read:
        try:
            return self.part.gather(indices)
        except InputError as error:
            return error.diagnostics


def _same(read: Any) -> Any:
    return read  # the loader's own would rebuild it


def _begin(_worker: int) -> None:
    # Ctrl-C reaches every process; the first of them decides what is still read.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
