"""The table of experiments.

Another one is an `Experiment` in a module of its own, and a line here.
"""

from __future__ import annotations

from models.registry import Registry
from train.experiments.experiment import Experiment
from train.experiments.forms import FORMS, VERDICT, WINDOW
from train.experiments.paper import ABLATIONS, FIGURE3, LEARNING_RATES, TABLE1, TABLE2
from train.experiments.regions import WITH_REGIONS

EXPERIMENTS: Registry[Experiment] = Registry("experiment")
EXPERIMENTS.add("table1", TABLE1, "powers of the pooling")
EXPERIMENTS.add("table2", TABLE2, "losses")
EXPERIMENTS.add("ablations", ABLATIONS, "parts of the loss")
EXPERIMENTS.add(
    "rates", LEARNING_RATES, "table2 with the best learning rate of each loss"
)
EXPERIMENTS.add("figure3", FIGURE3, "masks")
EXPERIMENTS.add("forms", FORMS, "a search among forms of the loss")
EXPERIMENTS.add("regions", WITH_REGIONS, "losses of regions beside cross-entropy")
EXPERIMENTS.add("window", WINDOW, "the mean over a window, without class weights")
EXPERIMENTS.add("verdict", VERDICT, "the losses that matter, each at its best")
