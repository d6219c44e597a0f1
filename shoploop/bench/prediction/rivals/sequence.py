"""The product's own Transformer as it learns from the log, before it is mixed: it ranks all items as rivals do."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from shoploop.bench.prediction.problem import Problem, Say
from shoploop.features.baskets import BasketSequence
from shoploop.features.factors import factors
from shoploop.features.history import history_of
from shoploop.features.item_pairs import pairs_together
from shoploop.features.log import Float32, Int32
from shoploop.models.inputs import ModelInput, collate
from shoploop.models.sequence import SequenceModel
from shoploop.samples.sample_set import Request
from shoploop.training.pretraining import PretrainingConfig, pretrain
from shoploop.training.sequence_task import MOST_EPOCHS, sequence_task_of

BATCH = 256
NO_ITEMS: Int32 = np.empty(0, np.int32)


class SequenceAlone:
    """Behind the interface of all rivals."""

    def __init__(self, config: PretrainingConfig | None = None, *, factors: int = 64):
        """``config``: how it learns; what the log says where not given (:mod:`shoploop.training.sequence_task`)."""
        self._config, self._factors = config, factors
        self.epoch_seconds: list[float] = []
        """Of learning alone."""

    def fit(self, problem: Problem, *, seed: int, say: Say) -> None:
        self._problem = problem
        items, past = len(problem.log.vocabulary), problem.past
        task = sequence_task_of(past)
        say(task.why)
        # where a run would not do it, it is measured what it would be
        chosen = PretrainingConfig(epochs=task.epochs or MOST_EPOCHS, first_day=task.first_day)
        own = task.learned_items or not task.epochs
        torch.manual_seed(seed)
        self.model = SequenceModel(SequenceModel.Config(items=items, factors=self._factors, learned_items=own))
        self.model.factors_IF.copy_(torch.from_numpy(factors(pairs_together(past), width=self._factors, seed=seed)))

        def told(row: dict[str, Any]) -> bool:
            self.epoch_seconds.append(row["seconds"])
            say(f"sequence: epoch {row['epoch']}, loss {row['loss']:.4f}, {row['seconds']:.1f} s")
            return True

        pretrain(self.model, past, replace(self._config or chosen, seed=seed), after_epoch=told)

    def scores(self, requests: Sequence[Request]) -> Iterator[Float32]:
        log = self._problem.log
        self.model.eval()
        with torch.inference_mode():
            vectors_ID = self.model.item_vectors()
        for start in range(0, len(requests), BATCH):
            histories = [(history_of(log, r.user, before=r.day), r.day) for r in requests[start : start + BATCH]]
            inputs = [
                ModelInput(
                    items_N=NO_ITEMS,
                    features_NK=np.empty((0, 1), np.float32),
                    sequence=BasketSequence.of(history, day=day),
                )
                for history, day in histories
            ]
            with torch.inference_mode():
                user_BD, _ = self.model.encode(collate(inputs))
                scores_BI = (user_BD @ vectors_ID.T + self.model.item_bias_I).numpy()
            yield from scores_BI
