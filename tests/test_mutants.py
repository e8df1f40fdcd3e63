"""The mistakes of the mutation tests can still be made in the code as it is."""

from pathlib import Path

import pytest

from tests.mutation.folders import SOURCES
from tests.mutation.handed_over import HANDED_OVER
from tests.mutation.hostile import HOSTILE
from tests.mutation.identity import IDENTITY
from tests.mutation.library import LIBRARY
from tests.mutation.places import PLACES
from tests.mutation.trainer import TRAINER, Mutant

ROOT = Path(__file__).parent.parent
MUTANTS = (*HANDED_OVER, *SOURCES, *HOSTILE, *IDENTITY, *LIBRARY, *PLACES, *TRAINER)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.file}: {m.mistake}")
def test_what_a_mistake_changes_is_there_once(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text().count(mutant.old) == 1
    assert mutant.new != mutant.old
    assert all((ROOT / tests.split("::")[0]).exists() for tests in mutant.tests)
