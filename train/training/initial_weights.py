"""Initial weights from a file, checked against the run's options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import numpy as np
from flax import nnx

from models.backbones import BACKBONES
from models.deeplab import DeepLab
from models.heads import HEADS
from models.layouts import Layout, find_layout
from models.pretrained import PRETRAINED, PretrainedError, find_pretrained
from models.styles import STYLES
from models.text import positive, shortened
from models.weights import (
    STATED,
    Header,
    Loaded,
    WeightsError,
    load_weights,
    read_header,
    read_weights,
)
from models.widening import Widening
from train.common.errors import UserError
from train.common.sealed import parse_json
from train.data.preprocessing import PREPROCESSINGS, SPLIT
from train.training.additions import network_alone
from train.training.average import begun
from train.training.first_convolution import widening_for
from train.training.network import ModelOptions, split_model
from train.training.step import TrainState

# What a file of this project says in its configuration, as far as it counts here.
_OWN = (*STATED, "output_stride", "upsampling")
_HELP = "docs/weights.md says where to get the file and how to convert it"


def check_initial_weights(options: ModelOptions) -> None:
    """Refuses an unsuitable weights file, before any data is prepared.

    Raises:
      UserError: the file is missing or cannot be read, or its weights were trained
        with another style, preprocessing or epsilon of batch norm.
    """
    if not options.weights:
        return
    path = weights_file(options)
    if not path.is_file():
        raise UserError(
            f"--weights {path}: no such file; {_HELP}. Installed weights go by name: "
            f"{', '.join(PRETRAINED)}. To begin at random weights add "
            '--weights "" --batch-norm trained.'
        )
    _checked_header(options, path)


def _checked_header(options: ModelOptions, path: Path) -> Header:
    """Returns what a file of suitable weights holds, without the arrays."""
    try:
        header = read_header(path)
        layout, _ = find_layout(header.keys)
    except WeightsError as error:
        raise UserError(str(error)) from error
    except LookupError as error:
        raise UserError(f"--weights {path}: {error}; {_HELP}.") from error
    _check_use(options, path, layout, header)
    return header


def weights_file(options: ModelOptions) -> Path:
    """Returns the file that `--weights` names: a path, or one of `PRETRAINED`.

    Raises:
      UserError: the named weights are not installed, or damaged.
    """
    path = Path(options.weights)
    if path.exists() or options.weights not in PRETRAINED:
        return path
    try:
        return find_pretrained(options.weights)
    except PretrainedError as error:
        raise UserError(f"--weights {error}") from error


def _use(layout: Layout, header: Header, names: Sequence[str]) -> dict[str, Any]:
    """Returns the options that a file's weights were trained with, as far as known.

    What the file states comes before what its layout presumes.

    Raises:
      UserError: it states what there is not.
    """
    presumed = layout._asdict()
    if layout.native:
        presumed = _own_options(header.metadata.get("config", "{}"))
    use = presumed | _stated(header.metadata)
    return {name: use[name] for name in names if use.get(name)}


def _own_options(config: str) -> dict[str, Any]:
    """Returns the options that a file of this project was trained with.

    Raises:
      UserError: it cannot be read, or a value cannot be the option's.
    """
    try:
        options = parse_json(config)
        if not isinstance(options, dict):
            raise ValueError(f"it is no table of options but {config:.60}")
        kinds = get_type_hints(ModelOptions)
        known = {name: options[name] for name in _OWN if name in options}
        for name, value in known.items():
            known[name] = msgspec.convert(value, kinds[name])
            ModelOptions(**{name: known[name]})  # which refuses others
        return known
    except (ValueError, UserError) as error:
        reason = str(error)[:200]
        raise UserError(f"its configuration cannot be read ({reason})") from error


def _stated(metadata: Mapping[str, str]) -> dict[str, Any]:
    stated: dict[str, Any] = {key: metadata[key] for key in STATED if key in metadata}
    try:
        if "style" in stated:
            STYLES.check(stated["style"])
        if "preprocessing" in stated:
            PREPROCESSINGS.check(stated["preprocessing"])
        if "norm_epsilon" in stated:
            stated["norm_epsilon"] = positive(stated["norm_epsilon"])
    except ValueError as error:
        raise UserError(
            f"its metadata cannot be used: {error}. models/convert_checkpoint.py "
            "writes a copy with others."
        ) from error
    return stated


def _check_use(
    options: ModelOptions, path: Path, layout: Layout, header: Header
) -> None:
    try:
        other = _differing(options, _use(layout, header, STATED))
        if options.preprocessing == SPLIT:  # to which the first convolution is fitted
            other.pop("preprocessing", None)
    except UserError as error:
        raise UserError(f"--weights {path}: {error}") from error
    if not other:
        return
    these = ", ".join(f"{name} {value}" for name, value in other.items())
    here = ", ".join(str(getattr(options, name)) for name in other)
    known = layout.native or options.weights in PRETRAINED
    presumed = not known and not set(STATED) & header.metadata.keys()
    raise UserError(
        f"--weights {path}{', by the names of its keys,' if presumed else ''} was "
        f"trained with {these}; this run has {here}. "
        f"Add {_as_options(other)}."
        + (_way_to_state(path, options) if presumed else "")
    )


def _way_to_state(path: Path, options: ModelOptions) -> str:
    """Returns the way out where a layout's usual options are not the file's."""
    ours = _as_options({name: getattr(options, name) for name in STATED})
    copy = path.with_name(f"{path.stem}_stated.safetensors")
    return (
        " If it was trained as this run is instead, name a copy that says so: "
        f"python models/convert_checkpoint.py {path} {copy} "
        f"{ours}"
    )


def _differing(options: ModelOptions, trained: dict[str, Any]) -> dict[str, Any]:
    """Returns the options that the weights were trained with and the run changes."""
    return {
        name: value
        for name, value in trained.items()
        if getattr(options, name) != value
    }


def _as_options(values: dict[str, Any]) -> str:
    return " ".join(f"--{name.replace('_', '-')} {v}" for name, v in values.items())


def with_weights(
    state: TrainState, graph: nnx.GraphDef[DeepLab], options: ModelOptions
) -> TrainState:
    """Returns a state of step 0 whose network has the weights of `options.weights`.

    Prints what was taken from the file and what begins at random.

    Raises:
      UserError: the file does not fit the network; the message lists the keys.
    """
    if not options.weights:
        return state
    path = weights_file(options)
    header = _checked_header(options, path)  # the file may be another by now
    try:
        state, loaded = loaded_state(
            state,
            graph,
            read_weights(path, header),
            new_head=options.new_head,
            new_stages=options.new_stages,
            widening=_widening(options, header),
        )
    except WeightsError as error:
        raise UserError(f"--weights {path}: {error}{_hint(error, options)}") from error
    print(f"{path}: {_summary(loaded, header, options)}")
    return state


def _widening(options: ModelOptions, header: Header) -> Widening | None:
    """Returns how the first convolution is fitted to the run's images; None: it fits.

    Raises:
      UserError: the file states what there is not.
    """
    layout, _ = find_layout(header.keys)
    trained = _use(layout, header, ("preprocessing",)).get("preprocessing", SPLIT)
    return widening_for(options.preprocessing, trained)


def _summary(loaded: Loaded, header: Header, options: ModelOptions) -> str:
    """Returns what was loaded, what begins at random, and what stays unused."""
    parts = [f"{loaded.arrays} arrays of {loaded.layout.title}"]
    parts += [loaded.widened] if loaded.widened else []
    if loaded.new:
        parts.append(f"random weights: {', '.join(loaded.new)}")
    stages = [part for part in loaded.new if part.startswith("stage")]
    if stages and options.batch_norm == "frozen":
        parts.append(
            f"--batch-norm frozen keeps that of {', '.join(stages)} at mean 0 and "
            "variance 1"
        )
    if unused := (*loaded.unused_parts, *header.aside):
        parts.append(f"unused: {shortened(', '.join(unused), 2000)}")
    if "head" not in loaded.new:
        other = _differing(
            options, _use(loaded.layout, header, ("output_stride", "upsampling"))
        )
        if other:
            parts.append(f"its head was trained with {_as_options(other)}")
    return "; ".join(parts)


def loaded_state(
    state: TrainState,
    graph: nnx.GraphDef[DeepLab],
    arrays: Mapping[str, np.ndarray],
    *,
    new_head: bool = False,
    new_stages: bool = False,
    widening: Widening | None = None,
) -> tuple[TrainState, Loaded]:
    """Returns a state with a file's weights in its network, and what was taken.

    Raises:
      WeightsError: they do not fit the network.
    """
    model = nnx.merge(graph, state.params, state.statistics, copy=True)
    with network_alone(model):
        consent: Any = {"new_head": new_head, "new_stages": new_stages}
        loaded = load_weights(model, arrays, **consent, widening=widening)
    _, params, statistics = split_model(model)
    average = state.average and begun(params, statistics)
    return state._replace(params=params, statistics=statistics, average=average), loaded


def _hint(error: WeightsError, options: ModelOptions) -> str:
    """Returns advice, as far as the keys at fault tell."""
    new_head = "--new-head to begin the head at random weights"
    if not error.keys:
        return ""
    if error.absent_stages:
        without = BACKBONES[options.backbone].without
        shorter = without.get(" ".join(error.absent_stages))
        ends = f", or --backbone {shorter} to do without" if shorter else ""
        return f"\nAdd --new-stages to begin them at random{ends}."
    if not error.head_only:
        return f"\nIs --backbone {options.backbone} that of the file?"
    if all(key.startswith("deconvolution") for key in error.keys):
        return (
            "\nThe file's upsampling is another: change --upsampling or "
            f"--output-stride, or add {new_head}."
        )
    if error.shapes_only:
        return f"\nIts classes are others: add {new_head}."
    others = " or ".join(f"--head {name}" for name in HEADS if name != options.head)
    return f"\nIs its head of another kind? Try {others}, or add {new_head}."
