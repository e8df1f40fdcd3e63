"""A run's folder: whose it is, and what a kill can leave in it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from train.common.errors import UserError
from train.data.dataset import DataOptions, Dataset, load_dataset
from train.workdir import batch
from train.workdir import run as run_module
from train.workdir.run import Run
from train.workdir.trained import load_run

from ..conftest import MakeConfig


def test_folder_of_another_configuration_is_refused(make_config: MakeConfig) -> None:
    config = make_config()
    Run.open(config).begin(config)
    Run.open(make_config(workers=2, log_every=5))
    with pytest.raises(UserError) as refused:
        Run.open(make_config(learning_rate=0.1, seed=3))
    message = str(refused.value)
    assert "learning_rate: 0.05 → 0.1" in message and "seed: 0 → 3" in message
    assert config.run.workdir in message and "--workdir" in message
    assert "as they were" in message


def test_folder_of_something_else_is_left_alone(make_config: MakeConfig) -> None:
    config = make_config()
    path = Path(config.run.workdir) / "thesis.txt"
    path.parent.mkdir()
    path.write_text("years of work")
    with pytest.raises(UserError, match="is not empty and holds no run"):
        Run.open(config)
    assert path.read_text() == "years of work"


@pytest.mark.parametrize("name", ["checkpoints", "checkpoints/100"])
def test_links_in_place_of_checkpoints_are_refused(
    make_config: MakeConfig, name: str, tmp_path: Path
) -> None:
    """Saving would rename and delete what stands there."""
    config = make_config()
    run = Run.open(config)
    run.begin(config)
    others = tmp_path / "others"
    others.mkdir()
    link = run.workdir / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(others)
    with pytest.raises(UserError, match=f"{link} is a link, to {others}"):
        Run.open(config)


def test_two_spellings_of_a_folder_are_the_same_data(make_config: MakeConfig) -> None:
    config = make_config()
    Run.open(config).begin(config)
    spelled = os.path.relpath(config.data.folder)
    assert spelled != config.data.folder
    assert not Run.open(config).is_of_another_path(make_config(data=spelled).data)
    moved = make_config(data=f"{spelled}2")
    assert Run.open(moved).is_of_another_path(moved.data)


@pytest.mark.parametrize(
    "damaged", ['{"mean_iou": 0.4', "{}", "[]", "5", '{"mean_iou": "high"}', ""]
)
@pytest.mark.parametrize("file", ["summary", "divergence"])
def test_a_damaged_result_is_named(
    make_config: MakeConfig, file: str, damaged: str
) -> None:
    run = Run.open(make_config())
    run.workdir.mkdir()
    read, write = getattr(run, file), getattr(run, f"write_{file}")
    assert read() is None
    result = {"steps": 8, "mean_iou": 0.25, "diverged_at": 3}
    write(result)
    assert read() == result
    (path,) = run.workdir.glob("*.json")
    path.write_text(damaged or path.read_text().replace("8", "9"))
    with pytest.raises(UserError, match=f"{path} is damaged .*Move it elsewhere"):
        read()


def test_a_run_is_trained_by_one_process_at_a_time(make_config: MakeConfig) -> None:
    config = make_config()
    Run.open(config).begin(config)
    with Run.open(config).alone(config):
        with pytest.raises(
            UserError, match=f"{config.run.workdir} is being trained by"
        ):
            with Run.open(config).alone(config):
                pass
    with Run.open(config).alone(config):
        pass


def test_a_run_that_another_began_meanwhile_is_refused(make_config: MakeConfig) -> None:
    slow, quick = make_config(), make_config(learning_rate=0.5)
    run = Run.open(slow)  # and prepares its data for long
    Run.open(quick).begin(quick)
    run.begin(slow)
    with pytest.raises(UserError, match="another configuration:\n  learning_rate"):
        with run.alone(slow):
            pytest.fail("trained")


def test_a_step_that_is_logged_twice_counts_once(make_config: MakeConfig) -> None:
    run = Run.open(make_config())
    run.workdir.mkdir()
    for split, figure in (("train", 1.0), ("val", 2.0), ("val", 3.0)):
        run.history.log(8, split, figure=figure)
    assert run.history.lines() == [
        {"step": 8, "split": "train", "figure": 1.0},
        {"step": 8, "split": "val", "figure": 3.0},
    ]


def test_run_without_its_configuration_is_named(make_config: MakeConfig) -> None:
    run = Run.open(make_config())
    (run.checkpoints / "8").mkdir(parents=True)
    with pytest.raises(UserError) as raised:
        Run.open(make_config())
    assert f"{run.workdir} has lost its config.json" in str(raised.value)
    assert f"({run.checkpoints})" in str(raised.value)
    assert "Restore that file" in str(raised.value)


def test_opening_writes_nothing(make_config: MakeConfig) -> None:
    config = make_config()
    Run.open(config)
    assert not Path(config.run.workdir).exists()


def test_run_that_begins_anew_says_so(
    make_config: MakeConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run.open(make_config())
    run.workdir.mkdir()
    run.history.rewind(0)
    assert not capsys.readouterr().out  # a new run
    run.history.log(8, "train", loss=1.0)
    run.history.rewind(0)
    said = capsys.readouterr().out
    assert f"{run.checkpoints} holds no checkpoint" in said and "up to step 8" in said
    assert not run.history.lines()


def test_rewind_drops_later_and_broken_lines(make_config: MakeConfig) -> None:
    config = make_config()
    run = Run.open(config)
    run.begin(config)
    path = Path(config.run.workdir) / "metrics.jsonl"
    lines = [json.dumps({"step": step, "split": "train"}) for step in (1, 2, 3)]
    path.write_text("\n".join(lines) + '\n{"step": 4, "spl')
    run.history.rewind(2)
    run.history.log(3, "val", mean_iou=0.5)
    assert [line["step"] for line in run.history.lines()] == [1, 2, 3]
    assert run.history.lines()[-1] == {"step": 3, "split": "val", "mean_iou": 0.5}
    assert list(Path(config.run.workdir).glob("events.out.tfevents.*"))


@pytest.mark.parametrize("name", ["\u00b2", "\u0663", "007", "9"])
def test_what_has_no_number_of_a_step_is_no_checkpoint(
    make_config: MakeConfig, name: str
) -> None:
    """A run that seems to go on takes no --weights."""
    run = Run.open(make_config())
    run.checkpoints.mkdir(parents=True)
    (run.checkpoints / name).write_bytes(b"")
    if name != "9":
        (run.checkpoints / f"{name}{name}").mkdir()
    assert not run.has_checkpoint()
    (run.checkpoints / "10").mkdir()
    assert run.has_checkpoint()


@pytest.mark.parametrize("place", [None, "gone", "others"])
def test_using_a_run_makes_and_reads_nothing_elsewhere(
    make_config: MakeConfig, tmp_path: Path, place: str | None
) -> None:
    config = make_config()
    run = Run.open(config)
    run.begin(config)
    run.record(config.data, load_dataset(config.data))
    (tmp_path / "others").mkdir()
    if place:
        run.checkpoints.symlink_to(tmp_path / place)
    refusal = "is a link, and the" if place else "has no checkpoint yet"
    with pytest.raises(UserError, match=refusal):
        load_run(run.workdir)
    assert not run.checkpoints.exists() or place == "others"
    assert not (tmp_path / "gone").exists()


def test_batch_of_a_stranger_s_run_takes_its_options_of_safety_from_the_call(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(links=True, pixel_limit=10**18)
    run = Run.open(config)
    run.begin(config)
    dataset = load_dataset(config.data)
    run.record(config.data, dataset)
    asked: list[tuple[bool, int]] = []

    def load(options: DataOptions) -> Dataset:
        asked.append((options.links, options.pixel_limit))
        return dataset

    monkeypatch.setattr(batch, "load_dataset", load)
    for given in (False, True):
        batch.batch_of(run.workdir, 1, links=given)
    assert asked == [(False, 10**9), (True, 10**9)]
    assert "1, links=True)" in batch.told_batch(config, dataset.train, 1)


def test_the_result_of_another_run_is_not_this_ones(make_config: MakeConfig) -> None:
    """A file put into the wrong folder would be published as this run's."""
    run = Run.open(config := make_config())
    run.begin(config)
    run.write_summary({"steps": 8, "mean_iou": 0.25})
    assert run.summary() == {"steps": 8, "mean_iou": 0.25}
    path = run.workdir / "summary.json"
    result = path.read_bytes()
    run.config_path.unlink()
    path.unlink()
    other = make_config(seed=1)
    run.begin(other)
    path.write_bytes(result)
    with pytest.raises(UserError, match=f"{path} is the result of another run .*Move"):
        Run.open(other).summary()


def test_of_two_that_begin_a_run_one_is_refused(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, other = make_config(), make_config(seed=3)
    first, second = Run.open(config), Run.open(other)
    save = run_module.save_config

    def late(*arguments: Any) -> None:
        monkeypatch.undo()
        first.begin(config)
        with first.alone(config):  # and trains, while the second is still beginning
            save(*arguments)
            with pytest.raises(UserError, match="is being trained by"):
                with second.alone(other):
                    pytest.fail("both train")

    monkeypatch.setattr(run_module, "save_config", late)
    second.begin(other)
    with pytest.raises(UserError, match="seed: 0 → 3"):
        with second.alone(other):
            pytest.fail("it trains another's run")
    with first.alone(config):
        pass
