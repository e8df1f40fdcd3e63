"""What the network of a run is given of images: by the table, or as measured."""

from __future__ import annotations

from collections.abc import Callable

from train.config import Config
from train.data.preprocessing import SPLIT, Preprocessing, preprocessing_of
from train.data.statistics import Statistics
from train.workdir.run import Run


def statistics_of(
    run: Run, config: Config, measure: Callable[[], Statistics]
) -> Statistics | None:
    """Returns the statistics of a run's training split, None where it needs none.

    Those that are recorded, from the first checkpoint on.

    Args:
      run: the run.
      config: its configuration.
      measure: finds them in the data.
    """
    if config.model.preprocessing != SPLIT:
        return None
    if run.has_checkpoint() and run.is_described():
        return run.described().statistics
    return measure()


def recorded_preprocessing(run: Run, config: Config) -> Preprocessing:
    """Returns what the network of a run, which has begun, is given of images.

    Raises:
      UserError: it needs statistics, and there are none.
    """
    needed = config.model.preprocessing == SPLIT
    found = run.described().statistics if needed else None
    return preprocessing_of(config.model.preprocessing, found, config.data.form)
