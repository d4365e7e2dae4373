"""The VAE generator: a latent normal, coded and decoded by small networks, in the manner of TVAE (Xu et al. 2019).

What differs from the publication: measured columns are normal scores of their ranks and have no modes, the weights'
average is stopped by the bound on held-out rows, and marginals are calibrated.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import torch

from dge_ray.generators.base import Unsupported
from dge_ray.generators.checkpoint import Checkpoint
from dge_ray.generators.checks import check_count
from dge_ray.generators.encoding.calibration import MarginalCalibration
from dge_ray.generators.encoding.ranks import MixedEncoder
from dge_ray.generators.fitting.neural import FitRows, Neural, Start, sample_stream, stream
from dge_ray.generators.fitting.rounds import RoundsPlan
from dge_ray.generators.fitting.schedule import batch_size_for, epochs_for
from dge_ray.generators.vae.model import VaeModel
from dge_ray.generators.vae.settings import VaeSettings
from dge_ray.generators.vae.training import WEIGHTS, Encoded, VaeFit
from dge_ray.seeds import Purpose, numpy_generator
from dge_ray.table.codec import TableCodec
from dge_ray.table.schema.table_schema import TableSchema

ROWS, SHARED = 0, 1  # the streams of a sample, its own and that of codes that categories share: at Purpose.SHARD
TIES = 1_000  # the streams by which ties fall, one a round: indices at Purpose.FIT from here
HELDOUT_TIES = 999
LEAST_EPOCHS, LEAST_STEPS = 30, 3_000  # of a fit, where no epochs are set


class Vae(Neural[VaeSettings, VaeModel]):
    """A variational autoencoder. Settings: `VaeSettings`."""

    name = "vae"
    abilities = VaeSettings.abilities
    architecture = ("latent", "hidden", "layers")

    def sample(self, n: int, *, seed: int, given: pa.Table | None = None) -> pa.Table:
        """`n` rows; a pure function of the weights, n and seed.

        Raises:
            InputError: not fitted, or n < 1.
            Unsupported: any `given`.
        """
        schema, model = self._state()
        check_count(n)
        if given is not None:
            raise Unsupported("given", f"{given.num_columns} columns for vae", "None: it draws whole rows")
        scores, codes = model.draw(n, sample_stream(seed, ROWS, model.device))
        rng = numpy_generator(seed, Purpose.SHARD, index=SHARED)
        return TableCodec(schema).decode(model.encoder.decode(scores, codes, rng), seed=seed)

    def _start(
        self, schema: TableSchema, rows: FitRows, *, seed: int, device: str, source: Checkpoint | None
    ) -> Start[VaeModel]:
        s, n = self.settings, rows.count
        if source is None:
            encoder = MixedEncoder.fit(schema.modelled, rows.seen, bins=s.bins)
        else:
            encoder = MixedEncoder.from_state(source.arrays, source.extra["columns"])
        model = VaeModel(encoder, s, device)

        def real(done: int) -> Encoded:
            return encoder.encode(rows.train, numpy_generator(seed, Purpose.FIT, index=TIES + done))

        heldout = encoder.encode(rows.heldout, numpy_generator(seed, Purpose.FIT, index=HELDOUT_TIES))
        batch_size = min(n, s.batch_size or batch_size_for(n))
        least = {"least_epochs": LEAST_EPOCHS, "least_steps": LEAST_STEPS}
        epochs = s.epochs or epochs_for(n, batch_size, **least)

        def begin(rate: float) -> VaeFit:
            model.weights.initialise(stream(seed, WEIGHTS))
            if source is not None:
                model.weights.flat.copy_(torch.from_numpy(source.arrays["weights"]))
            stopping = heldout if len(heldout[0]) else None
            return VaeFit(model, real, stopping, batch_size=batch_size, rate=rate, seed=seed)

        return Start(model, begin, RoundsPlan(epochs, s.patience or max(2, round(epochs / 4)), s.budget_seconds))

    def _files(self, model: VaeModel) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        arrays, plain = model.encoder.state()
        arrays |= model.calibration.state()
        arrays["weights"] = model.weights.flat.cpu().numpy()
        return arrays, {"columns": plain}

    def _restored(self, saved: Checkpoint, device: str) -> VaeModel:
        model = VaeModel(MixedEncoder.from_state(saved.arrays, saved.extra["columns"]), self.settings, device)
        model.weights.flat.copy_(torch.from_numpy(saved.arrays["weights"]))
        model.calibration = MarginalCalibration.from_state(saved.arrays)
        return model
