"""What all tests share: random numbers, four devices, and what is compiled once."""

import ctypes
import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

# Divides the CPU for the tests of sharding; programs that tests start compute alike.
os.environ["JAX_NUM_CPU_DEVICES"] = "4"
# Most is compiled to run once: with little effort, in one piece, by the quicker of two
# code generators. What is compiled as users do says so (tests/lal_jax/effort.py).
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
QUICK = ["--xla_cpu_parallel_codegen_split_count=1"]
if tuple(map(int, version("jax").split(".")[:2])) < (0, 11):  # later ones have one
    QUICK.append("--xla_cpu_use_fusion_emitters=false")
FLAGS = os.environ.get("XLA_FLAGS", "").split()
os.environ["XLA_FLAGS"] = " ".join(dict.fromkeys([*FLAGS, *QUICK]))

import hypothesis  # noqa: E402
import jax  # noqa: E402  # reads the environment
import numpy as np  # noqa: E402
import pytest  # noqa: E402

# For more than a few seconds' worth of drawn inputs: --hypothesis-profile long.
hypothesis.settings.register_profile("long", max_examples=5000)

CACHE = "JAX_COMPILATION_CACHE_DIR"

# Whole runs and whole networks, marked slow: `make test-slow`, which CI runs too. The
# longest are first, so that no worker is left alone with one at the end.
SLOW = (
    "test_processes",
    "test_runner",
    "test_programs",
    "test_reproduce",
    "test_recipe",
    "test_voc_preset",
    "test_killed",
    "test_dilated",
    "test_parity",
    "test_decoder_parity",
    "test_onnx_networks",
    "test_devices",
    "test_cost",
    "test_run_identity",
    "test_efficientnet",
    "test_torch_files",
    "test_stopped_runs",
    "test_tfds_runs",
    "test_channels_runs",
)


def pytest_configure(config: pytest.Config) -> None:
    """Keeps what is compiled for all workers and for the programs that tests start.

    In a folder of this call alone, unless the environment names one.
    """
    if CACHE not in os.environ:
        folder = tempfile.mkdtemp(prefix="compiled_")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        os.environ[CACHE] = folder
    settings = {
        CACHE: os.environ[CACHE],
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": 0.0,
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": -1,
    }
    for name, value in settings.items():
        os.environ[name] = str(value)
        jax.config.update(name.lower(), value)
    # Of one that another worker is just writing; it is compiled again.
    half = "ignore:Error reading persistent compilation cache entry"
    config.addinivalue_line("filterwarnings", half)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the slow files and puts them first; the others keep their order."""
    places = {name: place for place, name in enumerate(SLOW)}
    items.sort(key=lambda item: places.get(item.path.stem, len(SLOW)))
    for item in items:
        if item.path.stem in SLOW:
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """Spares the garbage collector what is loaded by now, which stays.

    It comes seldom, since a trace makes much that stays and little that goes round.
    """
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)


@pytest.fixture(autouse=True, scope="module")
def memory() -> Iterator[None]:
    """Forgets what is compiled once it takes gigabytes; the folder above keeps it.

    What is freed goes back to the system, or every module after it would forget again.
    """
    yield
    pages = Path("/proc/self/statm")  # of Linux
    if pages.exists():
        resident = int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        if resident > 3 * 2**30:
            jax.clear_caches()
            ctypes.CDLL(None).malloc_trim(0)


@pytest.fixture
def rng() -> np.random.Generator:
    """The same sequence in every test; NumPy's, since JAX compiles for every shape."""
    return np.random.default_rng(0)
