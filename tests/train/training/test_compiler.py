"""Options of XLA's compiler for a step: the switch, and what XLA does not take."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest

from train.training import compiler
from train.training.compiler import OPTIONS_BY_MODE, SWITCH, Compiled, chosen_options


def doubled(state: list[jax.Array], more: jax.Array) -> list[jax.Array]:
    return [2 * x + more for x in state]


@pytest.mark.parametrize("mode", OPTIONS_BY_MODE)
def test_the_switch_is_for_gpus(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setenv(SWITCH, mode)
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    assert chosen_options() == {}
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert chosen_options() == OPTIONS_BY_MODE[mode]


def test_off_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SWITCH, raising=False)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert chosen_options() == {}


def test_another_word_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "fast")
    with pytest.raises(ValueError, match="off, graph, fused .*'fast'"):
        chosen_options()


def test_what_xla_does_not_take_is_left_out_and_said() -> None:
    step = Compiled(doubled, {"xla_no_such_option": True})
    state = [jnp.arange(3.0)]
    with pytest.warns(UserWarning, match=f"as with {SWITCH}=off: .*no_such"):
        state = step(state, jnp.ones(3))
    assert step(state, jnp.ones(3))[0].tolist() == [3, 7, 11]


@pytest.mark.filterwarnings("error")
def test_other_errors_are_not_taken_for_it() -> None:
    step = Compiled(doubled, {"xla_cpu_enable_fast_math": False})
    state = [jnp.arange(3.0)]
    step(state, jnp.ones(3))
    with pytest.raises((RuntimeError, ValueError), match="deleted"):
        step(state, jnp.ones(3))


def test_full_memory_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    step = Compiled(doubled, {"xla_cpu_enable_fast_math": False})

    def full(*_: Any) -> None:
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: 80 GiB")

    monkeypatch.setattr(step, "_jitted", full)
    with pytest.raises(jax.errors.JaxRuntimeError, match="80 GiB"):
        step([jnp.arange(3.0)], jnp.ones(3))


@pytest.mark.skipif(jax.default_backend() != "gpu", reason="needs a GPU")
@pytest.mark.parametrize("mode", ["graph", "fused"])
def test_steps_are_those_without_options(
    monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """To what bfloat16 rounds, over three steps of the network that is trained."""
    from benchmarks.step_cost import Setting, compiled_step, random_batch, random_state

    def trained(mode: str) -> tuple[float, jax.Array]:
        monkeypatch.setenv(SWITCH, mode)
        setting = Setting(size=65, batch=2, loss="softmax_cross_entropy")
        config = setting.config().replace(learning_rate=1e-3)
        graph, state = random_state(config)
        batch = jax.device_put(random_batch(setting))
        before = jax.tree.map(jnp.copy, state.params)
        leaves, structure = jax.tree.flatten(state)
        program = compiled_step(graph, config, state, batch)
        for _ in range(3):
            leaves, metrics = program(leaves, batch)
        after = jax.tree.unflatten(structure, leaves).params
        moved = jax.tree.map(lambda a, b: (a - b).ravel(), after, before)
        return float(metrics["loss"]), jnp.concatenate(jax.tree.leaves(moved))

    (loss, moved), (expected, known) = trained(mode), trained("off")
    assert loss == pytest.approx(expected, rel=1e-2)
    distance = jnp.linalg.norm(moved - known) / jnp.linalg.norm(known)
    assert float(distance) < 0.05
    assert compiler.chosen_options() == {}
