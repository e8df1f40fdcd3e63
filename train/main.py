"""Trains a network: python train/main.py [PRESET] [--option value ...].

Called again with the same --workdir it resumes; --help lists every option.
"""

from __future__ import annotations

import sys
from typing import Any

from train.checkpoint import Checkpoints
from train.config import Config
from train.data import train_batches
from train.datasets import load_dataset
from train.evaluation import Evaluator
from train.finish import finish
from train.inference import Predictor
from train.loop import make_state, make_step, train
from train.presets import parse_config
from train.pretrained import check_weights, with_weights
from train.program import keep_programs, run_program
from train.run import Run


def main() -> None:
    """Does the run that the command line asks for."""
    config = parse_config(sys.argv[1:])
    keep_programs(config.compilation_cache)
    complete(config)


def complete(config: Config) -> dict[str, Any]:
    """Trains, evaluates and reports what is not done yet; returns what was reached."""
    run = Run.open(config)
    summary = run.summary()
    if summary:
        print(run.completion_notice(summary))
        return summary

    begins = not run.has_checkpoint()
    if begins:
        check_weights(config)
    dataset = load_dataset(config)
    graph, state = make_state(config, len(dataset.class_names))
    if begins:
        state = with_weights(state, graph, config)
    run.begin(config, dataset)
    evaluator = Evaluator(
        Predictor(graph, config),
        dataset.val,
        dataset.class_names,
        batch_size=config.evaluation_batch,
    )
    with run.alone():
        position = config.seed, dataset.fingerprint
        with Checkpoints(run.checkpoints, *position) as checkpoints:
            state, seconds = checkpoints.restore(state) or (state, 0.0)
            run.rewind(int(state.step))
            print(run.opening(config, dataset, int(state.step)))
            state, seconds = train(
                state,
                make_step(graph, config),
                train_batches(dataset.train, config, start=int(state.step)),
                config,
                log=run.log,
                evaluate=evaluator.figures,
                save=checkpoints.save,
                seconds=seconds,
            )
        return finish(run, config, dataset, evaluator, state, seconds)


if __name__ == "__main__":
    run_program(main, resume=" The same command goes on from the last checkpoint.")
