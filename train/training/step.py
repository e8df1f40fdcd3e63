"""The training step: a pure function of state and batch, compiled once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.experimental.layout import Layout, with_layout_constraint

from models.deeplab import DeepLab
from models.layers import FrozenStat
from models.pointwise import rows_divided
from train.data.dataset import DataOptions
from train.data.images import Example
from train.data.preprocessing import PREPROCESSINGS, Preprocessing
from train.training.additions import add_parameters, auxiliary_losses, learned_scale
from train.training.average import Average, begun
from train.training.compiler import Compiled, chosen_options
from train.training.devices import DeviceLayout
from train.training.finiteness import FAULT, first_fault, updated_where
from train.training.loss_options import LossOptions
from train.training.loss_sum import make_loss
from train.training.losses import initial_centers
from train.training.network import ModelOptions, make_model, split_model
from train.training.optimizer import OptimizerOptions, learning_rate, make_optimizer
from train.training.scales import shrink_labels, training_outputs

Step = Callable[["TrainState", Example], tuple["TrainState", dict[str, jax.Array]]]
LeafStep = Callable[
    [list[jax.Array], Example], tuple[list[jax.Array], dict[str, jax.Array]]
]


class TrainState(NamedTuple):
    """The state of training: everything that a step changes."""

    step: jax.Array  # int32 []
    params: nnx.State
    statistics: nnx.State  # running means and variances of batch norm
    centers: jax.Array  # of the classes [classes, depth], for the center loss
    optimizer: optax.OptState
    average: Average | None = None  # of the network, where one is kept

    def averaged(self) -> TrainState:
        """Returns the state with the network that is to predict, the averaged one."""
        if self.average is None:
            return self
        return self._replace(**self.average._asdict(), average=None)

    def saved(self) -> dict[str, Any]:
        """Returns what there is of it by name, for checkpoints."""
        return {name: part for name, part in self._asdict().items() if part is not None}


class Recipe(Protocol):
    """The groups of options that define a step; `Config` has them."""

    @property
    def data(self) -> DataOptions: ...  # noqa: D102
    @property
    def model(self) -> ModelOptions: ...  # noqa: D102
    @property
    def loss(self) -> LossOptions: ...  # noqa: D102
    @property
    def optimizer(self) -> OptimizerOptions: ...  # noqa: D102


def make_state(
    recipe: Recipe, classes: int, *, seed: int
) -> tuple[nnx.GraphDef[DeepLab], TrainState]:
    """Returns the network's structure and the state of step 0."""
    model = _make_network(recipe, classes, seed=seed)
    graph, params, statistics = split_model(model)
    optimizer = make_optimizer(recipe.optimizer).init(params)
    centers = initial_centers(recipe.loss, model)
    average = begun(params, statistics) if recipe.optimizer.ema else None
    step = jnp.int32(0)
    return graph, TrainState(step, params, statistics, centers, optimizer, average)


def abstract_state(
    recipe: Recipe, classes: int
) -> tuple[nnx.GraphDef[DeepLab], TrainState]:
    """Returns what `make_state` does with shapes in place of arrays, at no cost."""
    model = nnx.eval_shape(lambda: _make_network(recipe, classes, seed=0))
    graph, params, statistics = split_model(model)
    optimizer = jax.eval_shape(make_optimizer(recipe.optimizer).init, params)
    centers = jax.eval_shape(lambda: initial_centers(recipe.loss, model))
    average = None
    if recipe.optimizer.ema:
        average = jax.eval_shape(begun, params, statistics)
    step = jax.eval_shape(lambda: jnp.int32(0))
    return graph, TrainState(step, params, statistics, centers, optimizer, average)


def _make_network(recipe: Recipe, classes: int, *, seed: int) -> DeepLab:
    """Returns the network with random weights, and with what the loss learns."""
    channels = recipe.data.channels
    model = make_model(recipe.model, classes, channels=channels, seed=seed)
    add_parameters(recipe.loss, recipe.model, model, seed=seed)
    return model


def make_step(
    graph: nnx.GraphDef[DeepLab],
    recipe: Recipe,
    layout: DeviceLayout | None = None,
    *,
    preprocess: Preprocessing | None = None,
) -> CompiledStep:
    """Returns the compiled step `(state, batch) → (state, metrics)`.

    It consumes the state it is given. Where loss, gradient or statistics are not finite
    it returns that state, one step further, and says so in its metrics. With a layout,
    states and batches are those that it has put on its devices; losses, gradients and
    statistics are those of the whole batch, as on one device. Images become what
    `preprocess` makes of them, by default the entry of the table.
    """
    loss = make_loss(recipe.loss)
    preprocess = preprocess or PREPROCESSINGS[recipe.model.preprocessing]
    optimizer = make_optimizer(recipe.optimizer)
    schedule = learning_rate(recipe.optimizer)

    def batch_loss(
        params: nnx.State, kept: Kept, batch: Example
    ) -> tuple[jax.Array, tuple[Kept, Terms]]:
        model = nnx.merge(graph, params, kept.statistics, copy=True)
        images = preprocess(jnp.asarray(batch.image))
        whole = jnp.asarray(batch.label)
        total, centers, terms = jnp.float32(0), kept.centers, Terms()
        scale = learned_scale(model)
        for outputs in training_outputs(model, images, recipe.loss):
            labels = shrink_labels(whole, outputs.logits.shape[1:3])
            losses, centers, found = loss(outputs, labels, centers, scale)
            beside = auxiliary_losses(recipe.loss, model, outputs, whole)
            total += jnp.mean(losses) + recipe.loss.auxiliary * sum(beside.values())
            for name, value in (jax.tree.map(jnp.mean, found) | beside).items():
                terms[name] = terms.get(name, 0) + value
        return total, (Kept(nnx.state(model, nnx.BatchStat), centers), terms)

    gradient = _in_parts(
        jax.value_and_grad(batch_loss, has_aux=True), recipe.optimizer.accumulation
    )

    def step(
        state: TrainState, batch: Example
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        kept, params = Kept(state.statistics, state.centers), state.params
        if layout is not None:
            batch, params = layout.divided(batch), layout.whole(params)
        with rows_divided(layout is not None and layout.divides_rows):
            (value, (kept, terms)), slope = gradient(params, kept, batch)
        if layout is not None:
            slope = layout.stored(slope)
        slope = _row_major(slope)
        update, memory = optimizer.update(slope, state.optimizer, state.params)
        params = optax.apply_updates(state.params, update)
        fault = first_fault(value, slope, kept.changed())
        average = state.average
        if average is not None:
            average = average.moved(
                params, kept.statistics, step=state.step, decay=recipe.optimizer.ema
            )
        new = TrainState(state.step + 1, params, *kept, memory, average)
        new = updated_where(fault == 0, new, state)
        rate = schedule(state.step)
        metrics = {"loss": value, "learning_rate": rate, FAULT: fault}
        metrics |= {f"loss/{name}": term for name, term in terms.items()}
        if recipe.loss.learn_score_scale:
            metrics["score_scale"] = learned_scale(new.params)
        return (new if layout is None else layout.stored(new)), metrics

    return CompiledStep(step)


class CompiledStep(Compiled):
    """A step, compiled at its first call; it consumes the state it is given."""

    def __init__(self, step: Step):
        super().__init__(step, chosen_options())
        self._step = step

    def on_leaves(self, structure: Any) -> Compiled:
        """Returns `on_leaves` of the step, compiled."""
        return Compiled(on_leaves(self._step, structure), chosen_options())


def on_leaves(step: Step, structure: Any) -> LeafStep:
    """Returns a step as a function of the state's arrays in a list.

    Args:
      step: a function of the state.
      structure: of the state, as `jax.tree.structure` gives it.
    """

    def flat(
        leaves: list[jax.Array], batch: Example
    ) -> tuple[list[jax.Array], dict[str, jax.Array]]:
        state, metrics = step(jax.tree.unflatten(structure, leaves), batch)
        return jax.tree.leaves(state), metrics

    return flat


def _row_major(slope: nnx.State) -> nnx.State:
    """Returns the gradient laid out as the parameters are.

    A GPU's convolutions return it transposed. XLA would transpose parameters and
    momentum to it and back, and copy both into their places.
    """

    def laid_out(leaf: jax.Array) -> jax.Array:
        return with_layout_constraint(leaf, Layout(tuple(range(leaf.ndim))))

    return jax.tree.map(laid_out, slope)


class Kept(NamedTuple):
    """The part of the state without gradients."""

    statistics: nnx.State
    centers: jax.Array

    def changed(self) -> Kept:
        """Returns what of it a step may change."""
        running = nnx.filter_state(self.statistics, nnx.Not(FrozenStat))
        return self._replace(statistics=running)


# Of a sum of losses, each one's mean over the batch by its name, without its factor.
Terms = dict[str, jax.Array]

Gradient = Callable[
    [nnx.State, Kept, Example],
    tuple[tuple[jax.Array, tuple[Kept, Terms]], nnx.State],
]


def _in_parts(gradient: Gradient, parts: int) -> Gradient:
    """Returns the mean gradient over equal parts of a batch, taken one after the other.

    Losses are means over images, so this is the gradient of the whole batch, except for
    batch norm and the centers of the center loss, which see one part at a time. A part
    is every so-many-th image, so that each device has its share of every part.
    """
    if parts == 1:
        return gradient

    def mean(
        params: nnx.State, kept: Kept, batch: Example
    ) -> tuple[tuple[jax.Array, tuple[Kept, Terms]], nnx.State]:
        def add(carry: tuple, part: Example) -> tuple[tuple, Terms]:
            total, slopes, kept = carry
            (value, (kept, terms)), slope = gradient(params, kept, part)
            return (total + value, jax.tree.map(jnp.add, slopes, slope), kept), terms

        pieces = jax.tree.map(
            lambda x: x.reshape(-1, parts, *x.shape[1:]).swapaxes(0, 1), batch
        )
        start = (jnp.float32(0), jax.tree.map(jnp.zeros_like, params), kept)
        (total, slopes, kept), terms = jax.lax.scan(add, start, pieces)
        slopes = jax.tree.map(lambda slope: slope / parts, slopes)
        terms = jax.tree.map(lambda term: jnp.mean(term, axis=0), terms)
        return (total / parts, (kept, terms)), slopes

    return mean
