"""A run's folder: its configuration, metrics, checkpoints and results."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from models.files import PARTIAL
from train.common.errors import UserError
from train.common.files import numbered
from train.common.locks import hold
from train.common.processes import index_of_process
from train.common.sealed import checksum_of, write_sealed
from train.config import Config, differing_options, load_config, save_config
from train.data.dataset import DataOptions, Dataset, DividedData
from train.data.kinds import Found
from train.data.places import holds_records, is_name, resolved
from train.data.statistics import Statistics
from train.training.checkpoint import Checkpoints
from train.workdir.contents import Described, read_described, read_result
from train.workdir.history import History

# Bytes of a run's path: with the files directly in it, Linux takes 4,095.
_LONGEST = 3900


class Run:
    """A run's folder.

    config.json, dataset.json, checkpoints/, best/, metrics.jsonl, TensorBoard events,
    summary.json (or, in an experiment, diverged.json) and report.html.
    """

    def __init__(self, workdir: Path):
        self.workdir = workdir
        self.checkpoints = workdir / "checkpoints"
        self.best = workdir / "best"  # a checkpoint that --keep-best keeps
        self.report = workdir / "report.html"
        self.config_path = workdir / "config.json"
        self.dataset_path = workdir / "dataset.json"
        self._summary = workdir / "summary.json"
        self._divergence = workdir / "diverged.json"
        self._writes = index_of_process() == 0  # of several processes, one does
        self.history = History(workdir, self.checkpoints, writes=self._writes)

    @classmethod
    def open(cls, config: Config) -> Run:
        """Returns the run of a configuration; nothing is written yet.

        Raises:
          UserError: the folder holds something else, a run of another configuration,
            whose options the message names, or links in place of checkpoints.
        """
        run = cls(Path(config.run.workdir))
        length = len(os.fsencode(run.workdir.absolute()))
        if length > _LONGEST:
            raise UserError(
                f"--workdir has {length} bytes as a whole path; files in it would have "
                f"names that are too long. Choose one of {_LONGEST} or less."
            )
        folders = run.checkpoints, run.best
        for path in (*folders, *(p for f in folders for p in f.glob("*"))):
            if path.is_symlink():
                raise UserError(
                    f"{path} is a link, to {os.readlink(path)}, and a run writes into "
                    "its own folder alone. Move what it leads to into its place, or "
                    "choose another --workdir; --workdir itself may be a link."
                )
        if run.config_path.is_file():
            run._check_same(config)
        elif run.workdir.exists() and any(
            path.suffix != PARTIAL for path in run.workdir.iterdir()
        ):
            kept = [
                str(place) for place in (*folders, run.dataset_path) if place.exists()
            ]
            raise UserError(
                f"{run.workdir} has lost its config.json, without which what is left "
                f"of its run ({', '.join(kept)}) cannot be used. Restore that file "
                "from a copy, or choose another folder with --workdir."
                if kept
                else f"{run.workdir} is not empty and holds no run (no config.json). "
                "Choose another folder with --workdir."
            )
        return run

    def _check_same(self, config: Config) -> None:
        """Refuses a configuration other than that of config.json."""
        differing = differing_options(load_config(self.config_path), config)
        if differing:
            listed = "\n  ".join(differing)
            raise UserError(
                f"{self.workdir} holds a run of another configuration:\n  {listed}\n"
                "Give the options as they were, or another folder with --workdir."
            )

    def open_checkpoints(
        self, config: Config, fingerprint: str, earlier: str, *, best: bool = False
    ) -> Checkpoints:
        """Returns the checkpoints of the run.

        Args:
          config: of the run.
          fingerprint: of its data.
          earlier: fingerprint of the same data in checkpoints saved before, if any.
          best: opens that of the best evaluation instead.
        """
        folder, keep = (self.best, 1) if best else (self.checkpoints, config.run.keep)
        known = config.run.seed, fingerprint, earlier
        saved_under = checksum_of(self.config_path)
        return Checkpoints(folder, *known, config=saved_under, keep=keep)

    def has_checkpoint(self) -> bool:
        """Returns whether there is a checkpoint to resume from."""
        return bool(numbered(self.checkpoints))

    def begin(self, config: Config, began: dict[str, Any] | None = None) -> None:
        """Writes config.json, and with what the run began, at the first call."""
        if self._writes and not self.config_path.is_file():
            self.workdir.mkdir(parents=True, exist_ok=True)
            save_config(config, self.config_path, began)

    def record(
        self,
        options: DataOptions,
        dataset: Dataset | Found,
        statistics: Statistics | None = None,
    ) -> None:
        """Writes dataset.json: what is trained on, and where it is now.

        At each start: until the first checkpoint the data may be mended, and they may
        be moved at any time. What masks show is told by those that are prepared; else
        it stays.
        """
        mean, std = statistics or ((), ())
        if isinstance(dataset, Dataset):
            colors = {one.color: one.value for one in dataset.shown}
        else:
            colors = self.described().mask_colors if self.is_described() else {}
        described = Described(
            name=dataset.name,
            class_names=dataset.class_names,
            colors=dataset.colors.tolist(),
            fingerprint=dataset.fingerprint,
            earlier_fingerprint=dataset.earlier,
            split_fingerprints=dict(dataset.splits),
            val_names=dataset.val_names,
            folder=resolved(options.folder),
            prepared=resolved(options.prepared),
            channel_mean=mean,
            channel_std=std,
            mask_colors=colors,
        )
        if self._writes:
            write_sealed(self.dataset_path, msgspec.to_builtins(described))

    def described(self) -> Described:
        """Returns the content of dataset.json.

        Raises:
          UserError: it is missing or damaged.
        """
        return read_described(self.dataset_path)

    def is_described(self) -> bool:
        """Returns whether dataset.json is there and whole."""
        try:
            return bool(self.described())
        except UserError:
            return False

    def is_of_another_path(self, options: DataOptions) -> bool:
        """Returns whether the options name another folder than the run's data."""
        if not self.config_path.is_file():
            return False
        its = load_config(self.config_path).data.folder
        if self.is_described():
            its = self.described().folder or its
        return resolved(its) != resolved(options.folder)

    def data_options(self, options: DataOptions) -> DataOptions:
        """Returns the run's options with its data and its records where they are now.

        Options may name folders relative to where the run began. A run may be
        another's: its records are used where they are, but none are written to a folder
        that it chooses.
        """
        described = self.described()
        folder, now = options.folder, described.folder
        there = is_name(now) or Path(now).is_dir()
        if now and (there or not Path(folder).is_dir()):
            folder = now
        records = (described.prepared, options.prepared)
        known = (place for place in records if place and holds_records(place))
        prepared = next(known, DataOptions().prepared)
        moved = dataclasses.replace(options, folder=folder, prepared=prepared)
        return self.with_split(moved)

    def with_split(self, options: DataOptions) -> DataOptions:
        """Returns the options with the --split of the run, from a checkpoint on."""
        if not (self.has_checkpoint() and self.is_described()):
            return options
        names = self.described().val_names
        return DividedData.of(options, names) if names else options

    def split_fingerprint(self, split: str) -> str | None:
        """Returns the fingerprint of a split of the run, None if unknown."""
        return self.described().split_fingerprints.get(split)

    def check_data(self, data: Dataset | Found) -> None:
        """Refuses data other than what the run has been trained on.

        Raises:
          UserError: it names the run and both fingerprints.
        """
        results = self._summary.is_file() or self._divergence.is_file()
        if not (results or self.has_checkpoint()) or not self.is_described():
            return
        found = self.described().fingerprint
        if found not in (data.fingerprint, data.earlier):
            raise UserError(
                f"{self.workdir} was trained on other data ({found}) than there are "
                f"now in {data.name} ({data.fingerprint}). Restore them, or train on "
                "these in another folder, with --workdir."
            )

    @contextlib.contextmanager
    def alone(self, config: Config) -> Iterator[None]:
        """Locks the run within the block, so that no other process trains it.

        Raises:
          UserError: another one does, or has begun a run of another configuration since
            this one was opened.
        """
        if not self._writes:
            return (yield)
        # Open for writing, as network file systems want it.
        with self.config_path.open("a") as file:
            hold(
                file.fileno(),
                f"{self.workdir} is being trained",
                "Wait for that one, stop it, or choose another folder with --workdir.",
            )
            self._check_same(config)
            yield

    def opening(self, config: Config, dataset: Dataset, step: int) -> str:
        """Returns the line that announces training."""
        return (
            f"{self.workdir}: {config.loss.name} on {dataset.name} "
            f"({len(dataset.train)} images, {len(dataset.class_names)} classes), "
            f"from step {step} of {config.optimizer.steps}"
        )

    def summary(self) -> dict[str, Any] | None:
        """Returns the summary of a finished run, None while it is unfinished."""
        return read_result(self._summary, self._sum(), "steps", "mean_iou")

    def fingerprint(self) -> str | None:
        """Returns the fingerprint of the data it was trained on, None before that."""
        if not self.dataset_path.is_file():
            return None
        return self.described().fingerprint

    def divergence(self) -> dict[str, Any] | None:
        """Returns the record of a divergence, None if there was none."""
        return read_result(self._divergence, self._sum(), "diverged_at")

    def write_divergence(self, divergence: dict[str, Any]) -> None:
        """Marks the run as one that cannot be finished."""
        write_sealed(self._divergence, {**divergence, "config": self._sum()})

    def completion_notice(self, summary: dict[str, Any]) -> str:
        """Returns the message for a run that is already finished."""
        return (
            f"{self.workdir} is complete: {summary['steps']} steps, mean IoU "
            f"{100 * summary['mean_iou']:.1f} %.\n"
            f"Report: {self.report}\nFor another run, name a folder: --workdir DIR."
        )

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Marks the run as finished."""
        if self._writes:
            write_sealed(self._summary, {**summary, "config": self._sum()})

    def _sum(self) -> str:
        return checksum_of(self.config_path) if self.config_path.is_file() else ""
