"""Which looks at an image the options ask for."""

import pytest

from train.common.errors import UserError
from train.evaluation.views import EvaluationOptions, PredictionOptions, views

SCALES = (0.5, 1.0, 1.5)


def test_every_scale_is_seen_as_often_as_the_options_say() -> None:
    assert views(EvaluationOptions()) == [(1.0, False)]
    assert views(EvaluationOptions(scales=(0.5, 2.0), flip=True)) == [
        (0.5, False),
        (0.5, True),
        (2.0, False),
        (2.0, True),
    ]


def test_overlap_of_windows_is_asked_for_anew() -> None:
    own = EvaluationOptions(overlap=0.99)
    assert PredictionOptions().applied(own).overlap == 0.99
    asked = PredictionOptions(overlap=0.0)
    assert asked.applied(own).overlap == 0.0 and asked.named() == ["overlap0"]
    with pytest.raises(UserError, match=r"--overlap must lie in \[0, 0.99\], got 1.0"):
        PredictionOptions(overlap=1.0).applied(own)


def test_options_replace_what_they_name() -> None:
    its = EvaluationOptions(scales=(0.5,), flip=True, window=(64, 64))
    assert PredictionOptions().applied(its) == its
    options = PredictionOptions(scales=SCALES, flip=True, window=(0, 0))
    assert options.applied(its) == EvaluationOptions(scales=SCALES, flip=True)
    assert PredictionOptions(flip=True).applied(EvaluationOptions()).flip
    with pytest.raises(UserError, match="^--scales must"):
        PredictionOptions(scales=(0.0,)).applied(its)
    with pytest.raises(UserError, match="^--window must"):
        PredictionOptions(window=(8, 8)).applied(its)
