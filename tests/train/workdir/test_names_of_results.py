"""Results of evaluating are called by how that was done."""

from train.workdir.evaluated import name_of_result

FACTORS = [f"{factor / 7:.12g}" for factor in range(1, 33)]


def test_a_result_is_called_by_its_words() -> None:
    assert name_of_result("crf", ["val", "best", "flip"]) == "crf_val_best_flip"


def test_no_name_is_longer_than_file_systems_take() -> None:
    """Else a whole evaluation is done before it cannot be written."""
    names = {
        name_of_result("evaluation", words)
        for words in (FACTORS, FACTORS[::-1], ["ü" * 300], ["ü" * 301])
    }
    assert len(names) == 4
    assert all(len(f"{name}.json".encode()) <= 255 for name in names)
