"""The import graph: no circle, and the directions that docs/architecture.md names."""

import ast
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("lal_jax", "models", "train")
FILES = sorted(
    path.relative_to(ROOT) for name in PACKAGES for path in (ROOT / name).rglob("*.py")
)
MODULES = {
    ".".join(path.with_suffix("").parts).removesuffix(".__init__"): path
    for path in FILES
}

# Each layer may import from itself and from those before it.
LAYERS = (
    "train.common",
    "train.data",
    "train.training",
    "train.evaluation",
    "train.config",
    "train.voc_presets",
    "train.presets",
    "train.workdir",
    "train.exporting",
    "train.report",
    "train.inspection",
    "train.experiments",
    "train",  # the programs
)


def imported(path: Path) -> set[str]:
    """Returns the modules of this repository that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in MODULES else node.module)
    return {name for name in found if name in MODULES}


GRAPH = {module: imported(path) - {module} for module, path in MODULES.items()}


def run_time(module: str) -> set[str]:
    """Returns what a module imports when it runs, types left out."""
    tree = ast.parse((ROOT / MODULES[module]).read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in MODULES else node.module)
    return {name for name in found if name in MODULES} - {module}


def test_there_is_no_circle() -> None:
    graph = {module: run_time(module) for module in MODULES}
    assert len(graph) > 60 and sum(map(len, graph.values())) > 150
    TopologicalSorter(graph).prepare()  # raises CycleError


def layer(module: str) -> int:
    """Returns the first layer that holds a module of train/."""
    return next(
        index
        for index, name in enumerate(LAYERS)
        if module == name or module.startswith(f"{name}.")
    )


@pytest.mark.parametrize("module", [m for m in MODULES if m.startswith("train.")])
def test_layers_look_down_alone(module: str) -> None:
    above = {
        name
        for name in GRAPH[module]
        if name.startswith("train.") and layer(name) > layer(module)
    }
    assert not above, f"{module} is below {above}"


def test_library_and_models_know_nobody() -> None:
    for module, names in GRAPH.items():
        package = module.partition(".")[0]
        if package != "train":
            assert all(name.partition(".")[0] == package for name in names), module


@pytest.mark.parametrize(
    "path",
    [
        *FILES,
        *(
            path.relative_to(ROOT)
            for folder in ("tests", "benchmarks", "docs")
            for path in (ROOT / folder).rglob("*.py")
        ),
    ],
    ids=str,
)
def test_no_file_is_over_300_lines(path: Path) -> None:
    assert len((ROOT / path).read_text().splitlines()) <= 300


def test_no_public_name_stands_for_two_things() -> None:
    places = defaultdict(list)
    for module, path in MODULES.items():
        for node in ast.parse((ROOT / path).read_text()).body:
            names = []
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names = [node.name]
            elif isinstance(node, ast.Assign):
                names = [ast.unparse(target) for target in node.targets]
            elif isinstance(node, ast.AnnAssign):
                names = [ast.unparse(node.target)]
            for name in names:
                if not name.startswith("_"):  # private ones and __all__
                    places[name].append(module)
    doubled = {name: where for name, where in places.items() if len(where) > 1}
    assert set(doubled) <= {"main"}  # of each program
