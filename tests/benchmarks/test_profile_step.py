"""benchmarks/profile_step.py finds the kernels of a step, and their kinds."""

import pytest

from benchmarks.profile_step import KINDS, Kernel, by_kind, recorded, table
from benchmarks.step_cost import Setting

FOUND = [
    Kernel("sm80_xmma_fprop_implicit_gemm_indexed_bf16", 4e-3, 2),
    Kernel("sm90_xmma_fprop_implicit_gemm_bf16", 3e-3, 4),
    Kernel("loop_convert_select", 2e-3, 6),
    Kernel("input_reduce_fusion", 1e-3, 8),
    Kernel("loop_transpose_fusion", 1e-3, 2),
]


def test_each_kernel_is_of_one_kind() -> None:
    sums = by_kind(FOUND)
    assert [kernel.name for kernel in sums] == [kind for kind, _ in KINDS]
    assert [kernel.launches for kernel in sums] == [2, 4, 2, 8, 6]
    assert sum(kernel.seconds for kernel in sums) == pytest.approx(11e-3)


def test_table_is_of_a_step() -> None:
    assert table(FOUND[:1], 2).splitlines()[2].endswith("| 2.000 | 1 |")


def test_steps_are_recorded() -> None:
    setting = Setting(size=33, batch=1, backbone="resnet_small")
    found = recorded(2, setting)
    assert found == sorted(found, key=lambda kernel: -kernel.seconds)
    assert any("fusion" in kernel.name for kernel in found)
    assert all(kernel.seconds >= 0 and kernel.launches >= 1 for kernel in found)
    assert not any(kernel.name.startswith(("end: ", "Thunk")) for kernel in found)
