"""Mistakes about several devices and processes."""

from .trainer import of

DEVICES = (
    *of(
        "train/training/devices.py",
        "tests/train/training/test_devices.py",
        (
            "rows whole",
            'sharding = self._sharding("data", "spatial")',
            'sharding = self._sharding("data")',
        ),
        ("state whole", "if self.shard_state and", "if False and"),
        (
            "batch not divided",
            "if images % (n * processes) == 0), 0",
            "if n == 1), 0",
        ),
        ("idle untold", "jax.device_count() - array.size", "0"),
    ),
    *of(
        "train/training/chunks.py",
        "tests/train/training/test_checkpoint.py",
        ("each its part", "use_replica_parallel=False", "use_replica_parallel=True"),
    ),
    *of(
        "train/training/step.py",
        "tests/train/training/test_devices.py",
        ("batch as it came", "layout.divided(batch)", "batch"),
        ("rows brought together", "layout.divides_rows", "False"),
    ),
    *of(
        "train/data/batches.py",
        "tests/train/data/test_batches.py",
        ("each process the same", "start * shares + place", "start * shares"),
    ),
    *of(
        "train/evaluation/spread.py",
        "tests/train/evaluation/test_spread.py",
        ("all taken at once", "iterator, 2 * len(states)", "iterator, 999"),
        (
            "a device at a time",
            "free.put(state)\n\n    def",
            "free.put(states[0])\n\n    def",
        ),
        ("part of the network", "if leaf.is_fully_replicated:", "if True:"),
    ),
    *of(
        "train/common/processes.py",
        "tests/train/test_processes.py",
        ("alone all the same", "options.processes == 1 or not _manager()", "True"),
        (
            "each its own",
            "return multihost_utils.broadcast_one_to_all(tree)",
            "return tree",
        ),
        ("lost untold", "TimeoutError | ValueError)", "TimeoutError)"),
    ),
    *of(
        "train/main.py",
        "tests/train/test_processes.py",
        (
            "data of each",
            "    check_same_files(found, config.model, begins=begins)\n",
            "",
        ),
    ),
    *of(
        "train/training/alike.py",
        "tests/train/training/test_alike.py",
        ("weights of each", "if begins and options.weights:", "if False:"),
        ("state of each", '"checksum": checksum_of_arrays(state)', '"checksum": 0'),
    ),
)
