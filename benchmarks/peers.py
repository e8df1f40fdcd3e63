"""The losses of other libraries beside lal_jax's: python benchmarks/peers.py --write.

Each loss in the tables of `peer_calls_*.py` is asked the same of the same logits and
labels: whether it equals its counterpart, what ignored pixels do to it, and what absent
classes and images without valid pixels do. Prints a line of JSON a loss, and what can
be used with ignored pixels; with `--write` they become docs/results/peers.json and the
tables of docs/peers.md.

No peer but optax and Keras is a dependency of this project: docs/peers.md has the
commands that install them in an environment of their own. Peers that are not there are
named and left out, and then nothing is written.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peer_calls import PEERS, Call, Peer
from benchmarks.peer_calls_jax import JAX_CALLS
from benchmarks.peer_calls_torch import TORCH_CALLS
from benchmarks.peer_probes import (
    CLASS_WEIGHTS,
    VOID,
    Answers,
    Inputs,
    JaxLoss,
    Result,
    ValueAndGrad,
    ask,
    by_jax,
    compare,
    jax_loss,
    make_inputs,
    ours,
    over_draws,
)
from benchmarks.peer_tables import PAGE, RESULTS, summary, write_page

CALLS = JAX_CALLS + TORCH_CALLS

Record = dict[str, Any]


def by_torch(expression: str, module: types.ModuleType) -> ValueAndGrad:
    """Returns value and gradient of an expression, classes moved before the pixels."""
    import torch

    code = compile(expression, "<loss>", "eval")

    def value_and_grad(logits: np.ndarray, labels: np.ndarray) -> Result:
        first = np.ascontiguousarray(np.moveaxis(logits, -1, 1))
        image = torch.from_numpy(first).requires_grad_()
        indices = torch.from_numpy(labels).long()
        classes = torch.arange(logits.shape[-1])[:, None, None]
        arguments = {
            "logits": image,
            "labels": indices,
            "one_hot": (indices[:, None] == classes).float(),
            "mask": (indices != VOID)[:, None].float(),
            "class_weights": torch.from_numpy(CLASS_WEIGHTS),
        }
        value = eval(code, {**vars(module), **arguments}).mean()
        (gradient,) = torch.autograd.grad(value, image)
        return float(value), np.moveaxis(gradient.numpy(), 1, -1)

    return value_and_grad


def mmsegmentation_losses() -> types.ModuleType:
    """Returns its loss files as they are, without networks and compiled operators."""
    root = Path(importlib.import_module("mmseg").__file__ or "").parent / "models"
    for name, folder in (("models", root), ("models.losses", root / "losses")):
        package = types.ModuleType(f"mmseg.{name}")
        package.__path__ = [str(folder)]
        sys.modules[package.__name__] = package
    together = types.ModuleType("mmseg_losses")
    for file in ("dice", "tversky", "lovasz", "cross_entropy"):
        part = importlib.import_module(f"mmseg.models.losses.{file}_loss")
        names = {name: value for name, value in vars(part).items() if "Loss" in name}
        vars(together).update(names)
    return together


def load(peer: Peer, clones: dict[str, Path | None]) -> types.ModuleType | None:
    """Returns the peer's module; None where it is not installed."""
    if peer.framework == "torch" and not importlib.util.find_spec("torch"):
        return None
    if peer.package is None:
        clone = clones[peer.name]
        if clone is None:
            return None
        if peer.name == "RMI":
            return importlib.import_module("benchmarks.torch_losses").rmi_program(clone)
        sys.path.insert(0, str(clone))
    elif not importlib.util.find_spec(peer.module.split(".")[0]):
        return None
    os.environ.setdefault("KERAS_BACKEND", "jax")  # before Keras is imported
    if peer.name == "MMSegmentation":
        return mmsegmentation_losses()
    return importlib.import_module(peer.module)


def version(peer: Peer, clones: dict[str, Path | None]) -> str:
    """Returns the version of a package, or the commit of a clone."""
    if peer.package is not None:
        return importlib.metadata.version(peer.package)
    command = ["git", "-C", str(clones[peer.name]), "rev-parse", "HEAD"]
    return subprocess.check_output(command, text=True).strip()[:10]


def transformed(loss: JaxLoss, inputs: Inputs) -> Answers:
    """Tells whether a loss in JAX compiles, and maps over images."""
    logits, labels = jnp.asarray(inputs.logits), jnp.asarray(inputs.labels)

    def of_one(logits: jax.Array, labels: jax.Array) -> jax.Array:
        return loss(logits[None], labels[None])

    return {
        "jit": runs(jax.jit(jax.grad(loss)), logits, labels),
        "vmap": runs(jax.vmap(jax.grad(of_one)), logits, labels),
    }


def runs(function: Callable[..., jax.Array], *arguments: jax.Array) -> bool:
    """Tells whether a function can be traced."""
    try:
        function(*arguments)
    except (TypeError, ValueError, jax.errors.JAXTypeError):
        return False
    return True


def measure(
    call: Call, peer: Peer, module: types.ModuleType, inputs: Inputs
) -> Answers:
    """Asks a peer's loss everything, and compares it with what it equals."""
    if peer.framework == "torch":
        theirs, answers = by_torch(call.theirs, module), Answers()
    else:
        loss = jax_loss(call.theirs, vars(module))
        theirs, answers = by_jax(loss, compiled=False), transformed(loss, inputs)
    equal = ours(call.equal or call.ours)
    answers |= compare(
        theirs(inputs.logits, inputs.labels), equal(inputs.logits, inputs.labels)
    )
    answers |= ask(theirs, inputs, ignoring=bool(call.ignoring))
    return answers | over_draws(theirs) if call.ignoring else answers


def records(clones: dict[str, Path | None]) -> Iterator[Record]:
    """Measures all peers that are there; names the others."""
    inputs = make_inputs()
    own: dict[str, Answers] = {}
    for peer in PEERS:
        module = load(peer, clones)
        if module is None:
            yield {"peer": peer.name, "skipped": peer.package or "no clone"}
            continue
        for call in (call for call in CALLS if call.peer == peer.name):
            if call.ours not in own:
                own[call.ours] = ask(ours(call.ours), inputs)
            yield call._asdict() | {
                "version": version(peer, clones),
                "peers": plain(measure(call, peer, module, inputs)),
                "lal_jax": plain(own[call.ours]),
            }


def plain(answers: Answers) -> Answers:
    """Returns numbers with six digits; NaN as text, which JSON has no number for."""
    return {name: shortened(answer) for name, answer in answers.items()}


def shortened(answer: float | bool | str) -> float | bool | str:
    """Returns a number with six digits, all else as it is."""
    if not isinstance(answer, float):
        return answer
    return float(f"{answer:.6g}") if np.isfinite(answer) else "NaN"


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--rmi", type=Path, help="a clone of github.com/ZJULearning/RMI"
    )
    parser.add_argument(
        "--cldice", type=Path, help="a clone of github.com/jocpae/clDice"
    )
    parser.add_argument("--write", action="store_true", help="writes the page")
    parser.add_argument(
        "--tables", action="store_true", help="writes the tables alone, from the JSON"
    )
    arguments = parser.parse_args()
    if arguments.tables:
        write_page(json.loads(RESULTS.read_text()))
        return
    found = []
    for record in records({"RMI": arguments.rmi, "clDice": arguments.cldice}):
        print(json.dumps(record, ensure_ascii=False), flush=True)
        found.append(record)
    print(summary([record for record in found if "skipped" not in record]))
    missing = [record["peer"] for record in found if "skipped" in record]
    if missing:
        print(f"skipped, not installed: {', '.join(missing)}")
    if arguments.write and missing:
        raise SystemExit(f"{PAGE.name} is of all peers: nothing written")
    if arguments.write:
        lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in found)
        RESULTS.write_text(f"[\n{lines}\n]\n")
        write_page(found)


if __name__ == "__main__":
    main()
