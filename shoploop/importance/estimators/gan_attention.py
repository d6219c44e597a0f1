"""I_i = Σ_j w_ij · G_j over prototypes j that a conditional generator made.

G_j is the discriminator's score of prototype j, w_ij the learned attention of sample i on it. A sample whose features
look like prototypes that the discriminator does not believe, under the sample's label, is doubtful. Every part judges
only samples that it has not seen.

Legend: N samples, K features, E networks, R repeats, C classes, M prototypes per class.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from shoploop.importance.estimators.attention import AttentionConfig, PrototypeAttention, train_attention
from shoploop.importance.estimators.errors import TooManyPrototypes
from shoploop.importance.estimators.gan import GanConfig, TrainedGan, train_gan
from shoploop.importance.estimators.table import Float32, Float64, Int64, Table
from shoploop.importance.estimators.weights import Scores

CHUNK = 65_536


@dataclass(frozen=True, kw_only=True)
class GanAttentionConfig:
    prototypes: int | None = None
    """Over all labels, for each network. Unset: 64 for each label, or as many as there are samples where these are fewer."""

    source: Literal["Generated", "Real"] = "Generated"
    """Generated: the generator's outputs; Real: its anchors, real samples under every label."""

    gan: GanConfig = field(default_factory=GanConfig)
    attention: AttentionConfig = field(default_factory=AttentionConfig)

    def per_class(self, table: Table) -> int:
        """Prototypes of each class.

        Raises:
            TooManyPrototypes: more are asked for than there are samples.
        """
        wanted = min(64 * len(table.classes), len(table)) if self.prototypes is None else self.prototypes
        if wanted > len(table):
            raise TooManyPrototypes(
                f"{wanted} prototypes are asked for, but there are {len(table)} samples to draw their anchors from. Ask "
                f"for at most {len(table)}, or leave the number unset."
            )
        return max(wanted // len(table.classes), 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class GanAttentionParts:
    """What the importance is made of."""

    table: Table
    gan: TrainedGan
    prototypes_ECMK: Tensor
    """Normal scores; ``table.scale.backward`` gives the table's units."""

    scores_ECM: Tensor
    """G."""

    attention: PrototypeAttention

    def weights(self, rows: Int64, repeat: int = 0) -> tuple[Float64, Float64]:
        """w and G of these samples in one repeat.

        Returns:
            w (len(rows), M), each row summing to 1, and G (len(rows), M): the scores of the prototypes of the sample's
            own label, by the network that did not see it.
        """
        count = self.scores_ECM.shape[2]
        w, g = np.empty((len(rows), count)), np.empty((len(rows), count))
        nets = self.gan.folds.fold_RN[repeat, rows] + repeat * self.gan.folds.folds
        labels = self.table.y_N[rows]
        for net, label in sorted(set(zip(nets.tolist(), labels.tolist(), strict=True))):
            chosen = np.flatnonzero((nets == net) & (labels == label))
            w[chosen], g[chosen] = self._weigh(net, label, rows[chosen])
        return w, g

    def prototypes(self, row: int, repeat: int = 0) -> tuple[npt.NDArray[np.float32], Float64, Float64]:
        """The prototypes that one sample looks at: features (M, K) in the table's units, its attention, their scores."""
        net = int(self.gan.folds.fold_RN[repeat, row]) + repeat * self.gan.folds.folds
        features = self.table.scale.backward(self.prototypes_ECMK[net, self.table.y_N[row]].cpu().numpy())
        w, g = self.weights(np.array([row]), repeat)
        return features, w[0], g[0]

    def importance(self, *, label: int | None = None, permute: np.random.Generator | None = None) -> Float64:
        """Σ_j w_ij · G_j, mean over repeats, (N,).

        Args:
            label: Whose prototypes are attended to; None: those of each sample's own label.
            permute: Shuffles every sample's attention over the prototypes: what is left when it says nothing.
        """
        folds = self.gan.folds
        out_N = np.zeros(len(self.table))
        for net in range(folds.nets):
            held = folds.held_out(net)
            for own in range(len(self.table.classes)):
                rows = held[self.table.y_N[held] == own]
                for start in range(0, len(rows), CHUNK):
                    part = rows[start : start + CHUNK]
                    w, g = self._weigh(net, own if label is None else label, part)
                    out_N[part] += (permute.permuted(w, axis=1) if permute else w) @ g
        return out_N / len(folds.fold_RN)

    def under_every_label(self) -> Float64:
        """The importance that each sample would have under every label, (N, C)."""
        return np.stack([self.importance(label=label) for label in range(len(self.table.classes))], axis=1)

    def of_new(self, x_MK: Float32) -> Float64:
        """The same of rows that no network saw, (M, C): the mean of all."""
        out_MC = np.zeros((len(x_MK), len(self.table.classes)))
        with torch.inference_mode():
            x = torch.from_numpy(np.asarray(x_MK, np.float32)).to(self.gan.device)
            for net in range(self.gan.folds.nets):
                view = self.attention.view.one(net, x)
                for label in range(out_MC.shape[1]):
                    w = self.attention.one(net, label, view)
                    out_MC[:, label] += (w @ self.scores_ECM[net, label]).cpu().double().numpy()
        return out_MC / self.gan.folds.nets

    def _weigh(self, net: int, label: int, rows: Int64) -> tuple[Float64, Float64]:
        with torch.inference_mode():
            view = self.attention.view.one(net, torch.from_numpy(self.table.x_NK[rows]).to(self.gan.device))
            w = self.attention.one(net, label, view)
        return w.cpu().double().numpy(), self.scores_ECM[net, label].cpu().double().numpy()


def make_prototypes(
    table: Table, gan: TrainedGan, count: int, *, source: Literal["Generated", "Real"], seed: int
) -> tuple[Tensor, Tensor]:
    """Prototypes (E, C, M, K) from anchors that the network has seen, and their scores G (E, C, M)."""
    rng = np.random.default_rng(seed)
    draws = torch.Generator().manual_seed(seed)
    classes = len(table.classes)
    anchors_EM = np.stack(
        [
            rng.choice(seen, count, replace=len(seen) < count)
            for seen in (gan.folds.seen(net) for net in range(gan.folds.nets))
        ]
    )
    anchor_EMK = torch.from_numpy(table.x_NK[anchors_EM]).to(gan.device)
    prototypes, scores = [], []
    with torch.inference_mode():
        for label in range(classes):
            label_EMC = F.one_hot(torch.full(anchors_EM.shape, label, device=gan.device), classes).float()
            made = gan.generator(anchor_EMK, label_EMC, draws) if source == "Generated" else anchor_EMK
            prototypes.append(made)
            scores.append(torch.sigmoid(gan.discriminator(made)[..., label]))
    return torch.stack(prototypes, 1).clone(), torch.stack(scores, 1).clone()


@dataclass(frozen=True, kw_only=True)
class GanAttention:
    """Attention over the discriminator's scores of generated prototypes."""

    config: GanAttentionConfig = field(default_factory=GanAttentionConfig)
    name = "gan_attention"
    paper = "Goodfellow et al. 2014; Reed et al. 2016, section 4.2; Vaswani et al. 2017, section 3.2"

    def score(self, table: Table, *, seed: int) -> Scores:
        """See :class:`~shoploop.importance.estimators.estimator.Importance`."""
        config = self.config
        count = config.per_class(table)
        gan = train_gan(table, config.gan, seed=seed)
        prototypes, scores = make_prototypes(table, gan, count, source=config.source, seed=seed)
        attention = train_attention(
            table,
            gan,
            prototypes,
            scores,
            config.attention,
            batch=config.gan.batch,
            jitter=config.gan.jitter,
            seed=seed,
        )
        parts = GanAttentionParts(
            table=table, gan=gan, prototypes_ECMK=prototypes, scores_ECM=scores, attention=attention
        )
        score_NC = parts.under_every_label()
        return Scores(
            importance_N=score_NC[np.arange(len(table)), table.y_N],
            diagnostics=_diagnostics(parts),
            parts=parts,
            under_NC=score_NC,
            blind=True,
            predict=parts.of_new,
        )


def _diagnostics(parts: GanAttentionParts) -> dict[str, object]:
    rows = np.linspace(0, len(parts.table) - 1, min(len(parts.table), 1000)).astype(np.int64)
    w, _ = parts.weights(rows)
    entropy = -(w * np.log(np.maximum(w, 1e-12))).sum(1)
    scores = parts.scores_ECM
    return {
        "networks": parts.gan.folds.nets,
        "decay": parts.gan.decay,
        "decay_losses": parts.gan.decay_losses,
        "prototypes_per_class": scores.shape[2],
        "prototype_score": {
            str(label): {"mean": scores[:, c].mean().item(), "deviation": scores[:, c].std(correction=0).item()}
            for c, label in enumerate(parts.table.classes)
        },
        "prototypes_attended": float(np.exp(entropy).mean()),
        "sharpness": parts.attention.log_sharpness.exp().mean().item(),
        "gan": parts.gan.history,
    }
