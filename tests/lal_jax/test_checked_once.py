"""Each call checks each of its arguments once."""

import inspect
from collections import Counter

import jax
import pytest

from lal_jax import _checks, _labels, locally_adaptive_loss
from tests.lal_jax.functions import CENTERS, LABELS, LOGITS, OF_LABELS, POOLS, every


@pytest.fixture
def calls(monkeypatch) -> Counter[tuple[str, ...]]:
    """Number of calls of each check, by its name and that of the argument."""
    seen: Counter[tuple[str, ...]] = Counter()

    def counted(check):
        def run(*arguments, **options):
            names = [value for value in arguments if isinstance(value, str)]
            seen[(check.__name__, *names[:1])] += 1
            return check(*arguments, **options)

        return run

    for module in (_checks, _labels):
        for name, check in inspect.getmembers(module, inspect.isfunction):
            if not name.startswith("_"):
                monkeypatch.setattr(module, name, counted(check))
    return seen


def test_locally_adaptive_loss_checks_each_argument_once(calls):
    weights = CENTERS[0]
    jax.eval_shape(lambda: locally_adaptive_loss(LOGITS, LABELS, class_weights=weights))
    assert calls == {
        ("as_logits", "logits"): 1,
        ("as_float", "logits"): 1,
        ("as_labels", "logits"): 1,
        ("as_indices",): 1,
        ("as_where", "labels"): 1,  # and with it the mask
        ("as_class_weights",): 1,
        ("check_weights", "class_weights"): 1,
        ("check_ignore_label",): 1,
        ("check_kernel_size",): 1,
        ("check_integer", "stride"): 1,
        ("check_dilation",): 1,
        ("check_choice", "normalizer"): 1,
        ("check_choice", "normalization"): 1,
        ("check_rank", "logits"): 1,
        ("as_scale", "score_scale"): 1,
        ("check_below_one", "label_smoothing"): 1,
        ("check_power",): 1,
    }


@every(OF_LABELS)
def test_functions_of_labels_check_each_argument_once(function, calls):
    jax.eval_shape(lambda: function(LOGITS, LABELS))
    assert calls["check_ignore_label",] == calls["as_where", "labels"] == 1
    assert set(calls.values()) == {1}


@every(POOLS)
def test_pools_check_each_argument_once(function, calls):
    jax.eval_shape(lambda: function(LOGITS[..., 0] ** 2))
    assert calls["as_where", "losses"] == calls["check_axes",] == 1
    assert set(calls.values()) == {1}
