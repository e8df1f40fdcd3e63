"""The devices of a run: which are used, and which part of every array lies where.

One mesh of two axes. Along `data` lie the images of a batch, and with --shard-state
parameters and momentum; along `spatial` the rows of each image. XLA exchanges what
borders on a neighbor's part. JAX is imported where it is used, so that the options load
without it.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, TypeVar

from train.common.errors import UserError
from train.common.options import NOT_NEGATIVE, POSITIVE, Group, option

if TYPE_CHECKING:
    import jax
    from jax.sharding import Mesh, NamedSharding

    from train.data.images import Example

    Tree = TypeVar("Tree")

# Elements below which an array is not divided: a message costs more than it saves.
_SMALLEST = 2**14


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeviceOptions(Group):
    """The devices of a run, and what is divided among them."""

    devices: int = option(
        0,
        "Devices that each process uses; 0 uses as many as divide the batch.",
        NOT_NEGATIVE,
        free=True,
    )
    spatial: int = option(
        1,
        "Devices that share the rows of each image, for images too large for one.",
        POSITIVE,
        free=True,
    )
    shard_state: bool = option(
        False,
        "Divides parameters and momentum among the devices (FSDP), to save memory.",
        free=True,
    )


class DeviceLayout:
    """Which devices a run uses, and how its arrays are divided among them.

    Args:
      mesh: axes `data` and `spatial`.
      idle: devices that are not in it, of all processes.
      shard_state: divides parameters and momentum along `data`.
    """

    def __init__(self, mesh: Mesh, *, idle: int = 0, shard_state: bool = False):
        self.mesh, self.idle, self.shard_state = mesh, idle, shard_state

    @classmethod
    def of(cls, options: DeviceOptions, images: int) -> DeviceLayout:
        """Returns the layout for batches of a number of images.

        Where the batch is divided into parts, `images` are those of a part.

        Raises:
          UserError: there are too few devices, or the images cannot be divided among
            the processes.
        """
        import jax
        import numpy as np
        from jax.sharding import AxisType, Mesh

        of_process: dict[int, list[jax.Device]] = {}
        for device in jax.devices():
            of_process.setdefault(device.process_index, []).append(device)
        fewest = min(map(len, of_process.values()))
        wanted = options.devices or fewest
        if max(wanted, options.spatial) > fewest:
            name, value = "devices", wanted
            if options.spatial > fewest:
                name, value = "spatial", options.spatial
            raise UserError(
                f"--{name} {value} is more than a process has devices here ({fewest}). "
                f"Choose {fewest} or less."
            )
        most, processes = wanted // options.spatial, len(of_process)
        groups = next(
            (n for n in range(most, 0, -1) if images % (n * processes) == 0), 0
        )
        if not groups:
            raise UserError(
                f"{images} images per step (and part, with --accumulation) cannot be "
                f"divided among {processes} processes. Choose a --batch-size that can."
            )
        chosen = [
            devices[: groups * options.spatial] for devices in of_process.values()
        ]
        array = np.array(chosen, object).reshape(-1, options.spatial)
        mesh = Mesh(array, ("data", "spatial"), axis_types=(AxisType.Auto,) * 2)
        idle = jax.device_count() - array.size
        return cls(mesh, idle=idle, shard_state=options.shard_state)

    @property
    def divides_rows(self) -> bool:
        """Whether the rows of an image are on several devices."""
        return bool(self.mesh.shape["spatial"] > 1)

    def describe(self) -> str:
        """Returns the line that says which devices are used."""
        data, spatial = self.mesh.devices.shape
        first = self.mesh.devices.flat[0]
        count = self.mesh.devices.size
        text = f"{count} device{'s' * (count > 1)} ({first.device_kind})"
        if spatial > 1:
            text += f", {spatial} for each image's rows"
        if data > 1:
            text += f", each step's images divided by {data}"
        if self.shard_state:
            text += ", parameters divided likewise"
        if self.idle:
            text += (
                f"; {self.idle} idle: --batch-size divides no further (or --devices "
                "leaves them out)"
            )
        return text

    def _sharding(self, *axes: str | None) -> NamedSharding:
        from jax.sharding import NamedSharding, PartitionSpec

        return NamedSharding(self.mesh, PartitionSpec(*axes))

    def rows(self, images: int) -> range:
        """Returns which images of each batch this process loads."""
        import jax

        processes = sorted({device.process_index for device in self.mesh.devices.flat})
        share = images // len(processes)
        place = processes.index(jax.process_index())
        return range(place * share, (place + 1) * share)

    def of_batch(self) -> NamedSharding:
        """Returns how a batch is divided before the step."""
        return self._sharding("data")

    def put_batch(self, batch: Example) -> Example:
        """Returns a batch on the devices, given the images of this process.

        Rows of an image are divided within the step alone: no device needs to be sent
        equally many.
        """
        import jax

        sharding = self.of_batch()
        return jax.tree.map(
            lambda part: jax.make_array_from_process_local_data(sharding, part), batch
        )

    def put_state(self, state: Tree) -> Tree:
        """Returns the state on the devices; it is equal in all processes."""
        import jax
        import numpy as np

        def put(leaf: jax.Array) -> jax.Array:
            host = np.asarray(leaf)
            return jax.make_array_from_callback(
                host.shape, self.of_state(host.shape), lambda index: host[index]
            )

        return jax.tree.map(put, state)

    def of_state(self, shape: tuple[int, ...]) -> NamedSharding:
        """Returns how an array of the state is divided."""
        parts = self.mesh.shape["data"]
        if self.shard_state and math.prod(shape) >= _SMALLEST:
            for axis in sorted(range(len(shape)), key=lambda axis: -shape[axis]):
                if shape[axis] % parts == 0:
                    return self._sharding(*(None,) * axis, "data")
        return self._sharding()

    def stored(self, tree: Tree) -> Tree:
        """Within the step: divides arrays as the state is."""
        import jax

        return jax.tree.map(
            lambda leaf: jax.lax.with_sharding_constraint(
                leaf, self.of_state(leaf.shape)
            ),
            tree,
        )

    def whole(self, tree: Tree) -> Tree:
        """Gathers arrays that are divided, on every device."""
        import jax

        everywhere = self._sharding()
        return jax.tree.map(
            lambda leaf: jax.lax.with_sharding_constraint(leaf, everywhere), tree
        )

    def divided(self, batch: Example) -> Example:
        """Within the step: divides images by their number and their rows.

        Heights that are no multiple of the devices are no hindrance.
        """
        import jax

        sharding = self._sharding("data", "spatial")
        return jax.tree.map(
            lambda part: jax.lax.with_sharding_constraint(part, sharding), batch
        )
