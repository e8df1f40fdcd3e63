"""The mistakes of the mutation tests can still be made in the code as it is."""

from pathlib import Path

import pytest

from tests.mutation.tables import MUTANTS
from tests.mutation.trainer import Mutant

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.file}: {m.mistake}")
def test_what_a_mistake_changes_is_there_once(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text().count(mutant.old) == 1
    assert mutant.new != mutant.old
    assert all((ROOT / tests.split("::")[0]).exists() for tests in mutant.tests)
