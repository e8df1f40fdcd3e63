"""Mistakes in optimizers and the average of the network, for `tests.mutation`."""

from .trainer import of

OPTIMIZERS = (
    of(
        "train/training/optimizer.py",
        "tests/train/training/test_optimizers.py",
        ("moments exchanged", '"b1": options.adam_beta1', '"b1": options.adam_beta2'),
        ("epsilon unused", '"eps": options.adam_epsilon', '"eps": 1e-8'),
        ("adamw's biases decay", "decay, mask=kernels, **", "decay, **"),
        (
            "adam decays beside the gradient",
            "return _decay_by_gradient(options), update",
            "return update, _decay_by_gradient(options)",
        ),
        ("unread is taken", "config.optimizer.name not in optimizers", "False"),
    )
    + of(
        "train/training/average.py",
        "tests/train/training/test_average.py",
        ("first network stays", "jnp.maximum(1 - decay, 9 / (10 + step))", "1 - decay"),
        ("decay unused", "jnp.maximum(1 - decay, 9 / (10 + step))", "9 / (10 + step)"),
        (
            "network for average",
            "old + share * (new - old)",
            "new + share * (old - new)",
        ),
    )
    + of(
        "train/training/step.py",
        "tests/train/training/test_average.py",
        (
            "average unsaved",
            "if part is not None}",
            'if part is not None and name != "average"}',
        ),
        (
            "average of before",
            "                params, kept.stat",
            "                state.params, kept.stat",
        ),
        (
            "average unused",
            "return self._replace(**self.average._asdict(), average=None)",
            "return self._replace(average=None)",
        ),
    )
    + of(
        "train/training/initial_weights.py",
        "tests/train/training/test_average.py",
        (
            "average of random weights",
            "average = state.average and begun(params, statistics)",
            "average = state.average",
        ),
    )
    + of(
        "train/evaluation/spread.py",
        "tests/train/training/test_average.py",
        ("raw network predicts", "    state = state.averaged()\n", ""),
    )
    + of(
        "train/workdir/trained.py",
        "tests/train/training/test_average.py",
        ("raw network exported", "restored.state.averaged()", "restored.state"),
    )
)
