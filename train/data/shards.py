"""Shards of prepared records, written as the records come.

A split of any size takes the memory of one record. TFDS's own writer sorts a split in
memory, and opens files by TensorFlow for one of more than 1,000 MiB.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import tensorflow_datasets as tfds

_SHARD = 2**28  # bytes of records, after which another file begins


class _Counted:
    """Serialized records, counted as they are taken."""

    def __init__(self, records: Iterable[bytes]):
        self._records = iter(records)
        self.count, self.size = 0, 0

    def shards(self) -> Iterator[Iterator[tuple[int, bytes]]]:
        """Yields the records of each shard, by number, until there are no more."""
        for first in self._records:
            yield self._shard(first)

    def _shard(self, first: bytes) -> Iterator[tuple[int, bytes]]:
        begin = self.size
        for record in itertools.chain([first], self._records):
            yield self.count, record
            self.count += 1
            self.size += len(record)
            if self.size - begin >= _SHARD:
                return


def write_split(
    records: Iterable[bytes],
    write: Callable[[Path, Iterator[tuple[int, bytes]]], object],
    template: tfds.core.ShardedFileTemplate,
) -> tfds.core.SplitInfo:
    """Writes a split in order, and returns what TFDS keeps of it.

    Args:
      records: of the split, serialized.
      write: makes a file of numbered records.
      template: names the files.
    """
    counted, ends = _Counted(records), [0]
    parts: list[Path] = []
    for shard in counted.shards():
        parts.append(Path(template.data_dir, f"{template.split}.{len(parts)}.part"))
        write(parts[-1], shard)
        ends.append(counted.count)
    for index, part in enumerate(parts):  # their names have the number of all
        name = template.sharded_filepath(shard_index=index, num_shards=len(parts))
        part.rename(name)
    lengths = [end - begin for begin, end in itertools.pairwise(ends)]
    return tfds.core.SplitInfo(
        name=template.split,
        shard_lengths=lengths,
        num_bytes=counted.size,
        filename_template=template,
    )
