"""Steps that are not finite: left out, counted, told with their images."""

import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.common.errors import Diverged
from train.config import Config
from train.data.dataset import load_dataset
from train.training.checkpoint import Checkpoints
from train.training.finiteness import FAULT, FaultWatch, all_finite, first_fault
from train.workdir.batch import batch_at, told_batch

from ..conftest import MakeConfig, batches_of
from ..programs import OPTIONS, call
from ..standins import STATE

NAN, INF = float("nan"), float("inf")


def test_every_floating_leaf_counts() -> None:
    whole = {"a": jnp.ones(3), "b": [jnp.arange(2)], "c": jnp.ones(2, jnp.bfloat16)}
    assert all_finite(whole) and all_finite({}) and all_finite(jnp.arange(3))
    for value in (NAN, INF, -INF):
        for name in ("a", "c"):
            broken = whole | {name: whole[name].at[1].set(value)}  # type: ignore[attr-defined]
            assert not all_finite(broken)


@pytest.mark.parametrize("index", [0, 1, 2, 3])
def test_first_fault_is_named(index: int) -> None:
    parts = [jnp.ones(()), {"kernel": jnp.ones(3)}, (jnp.ones(2),)]
    for place in range(index, 4):
        if index and place:
            parts[place - 1] = jax.tree.map(lambda x: x * NAN, parts[place - 1])
    assert int(first_fault(*parts)) == index  # type: ignore[arg-type]


def watch_of(skip: int, said: list[str]) -> FaultWatch:
    options = Config().replace(skip_nonfinite=skip).optimizer
    return FaultWatch(options, 0, lambda step: f"Batch {step}.", said.append)


def test_steps_are_judged_one_late_and_skipped_as_often_as_allowed() -> None:
    said: list[str] = []
    watch = watch_of(2, said)
    good = {"loss": jnp.float32(1), FAULT: jnp.int32(0)}
    bad = {"loss": jnp.float32(NAN), FAULT: jnp.int32(1)}
    steep = {"loss": jnp.float32(2), FAULT: jnp.int32(2)}
    for step, metrics in enumerate((good, bad, good, steep, bad), 1):
        watch.follow(step, metrics)
    assert watch.skipped == 2
    first, second = said
    assert "loss is nan at step 2, whose update is left out (1 of 2). Batch 2." in first
    assert "gradient is not finite (the loss is 2) at step 4, whose" in second
    with pytest.raises(Diverged, match="nan at step 5 after 2 updates") as stopped:
        watch.settle()
    assert stopped.value.step == 5 and "--skip-nonfinite 12" in str(stopped.value)
    assert "\nBatch 5." in str(stopped.value)


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("field", ["params", "statistics", "centers", "optimizer"])
def test_state_that_is_not_finite_evicts_nothing(
    tmp_path: Path, field: str, value: float
) -> None:
    bad: Any = {field: {"a": jnp.ones(3), "b": jnp.array([1, value])}}
    good: Any = {field: {"a": jnp.ones(3), "b": jnp.ones(2)}}
    broken, like = STATE._replace(**bad), STATE._replace(**good)
    with Checkpoints(tmp_path, 0, "data", keep=1) as checkpoints:
        checkpoints.save(like, 7.0)
        for step in (1, 2):
            with pytest.raises(Diverged, match=f"of step {step}, .* was not saved"):
                checkpoints.save(broken._replace(step=jnp.int32(step)), 8.0)
    with Checkpoints(tmp_path, 0, "data") as checkpoints:
        restored = checkpoints.restore(like)
    assert restored is not None and int(restored.state.step) == 0


def test_batch_is_built_again_with_its_names(make_config: MakeConfig) -> None:
    config = make_config(workers=0)
    source = load_dataset(config.data).train
    names = [record["name"].decode() for record in source]  # type: ignore[attr-defined]
    seen: list[str] = []
    for step, wanted in enumerate(batches_of(source, config), 1):
        batch = batch_at(config, source, step)
        np.testing.assert_array_equal(batch.images, wanted.image)
        np.testing.assert_array_equal(batch.labels, wanted.label)
        seen += batch.names
    assert sorted(seen[:4]) == sorted(seen[4:8]) == sorted(names)
    assert seen[:4] != seen[4:8] or seen[:4] != names


def test_few_names_of_a_large_batch_are_told(make_config: MakeConfig) -> None:
    config = make_config(batch_size=20)
    source = 5 * list(load_dataset(config.data).train)  # type: ignore[call-overload]
    told = told_batch(config, source, 1)
    assert " and 4 more. In Python" in told and told.count(", ") < 20


def test_run_that_explodes_names_its_images_and_keeps_what_was_finite(
    folder: Path, tmp_path: Path, tiny: str
) -> None:
    run = tmp_path / "run"
    words = ("--backbone", tiny, "--data", folder, "--prepared", tmp_path / "prepared")
    rate = ("--learning-rate", 1e30, "--max-gradient-norm", "None")
    often = ("--checkpoint-every", 1, "--log-every", 20, "--evaluate-every", 100)
    command = ("demo", *OPTIONS, *words, *rate, *often, "--steps", 50, "--workdir", run)
    done = call("main", *command)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    told = re.search(r"Its images: (\w), (\w)\. In Python, its batch is:", done.stderr)
    assert told, done.stderr
    step = int(re.findall(r"at step (\d+)", done.stderr)[0])
    code = "\n".join(re.findall(r"^ +(from .*|names, .*)$", done.stderr, re.M))
    assert f"batch_of('{run}', {step})" in code
    found: dict[str, object] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(code, found)  # noqa: S102
    assert found["names"] == told.groups()
    kept = [int(path.name) for path in (run / "checkpoints").glob("[0-9]*")]
    assert kept and max(kept) < step
    skipping = call("main", *command, "--skip-nonfinite", 3)
    assert skipping.returncode == 2
    assert f"at step {step + 3} after 3 updates that were left out" in skipping.stderr
    lines = (run / "metrics.jsonl").read_text().splitlines()
    assert all(json.loads(line)["step"] <= max(kept) for line in lines)
