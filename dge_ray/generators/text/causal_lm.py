"""A text column by a causal language model of the transformers package (an extra: `text`, Apache-2.0).

Its weights come from a folder or a hub's repository (`generator.model`), and are fine-tuned on the training rows;
without one a small GPT-2 and its tokeniser are trained from nothing. Weights are read from safetensors alone, and no
code that a repository brings is run. A saved generator holds weights, configuration and tokeniser: the folder is not
needed again.
"""

import json
from typing import Any

import numpy as np
import torch

from dge_ray.errors import InputError
from dge_ray.generators.checkpoint import Checkpoint
from dge_ray.generators.checks import text_column
from dge_ray.generators.fitting.neural import FitRows, Start, stream
from dge_ray.generators.text.base import OfText, Rest, TextModel
from dge_ray.generators.text.causal_network import CausalNetwork, SubWords
from dge_ray.generators.text.language_training import ORDER, WEIGHTS
from dge_ray.generators.text.settings import CausalLmSettings
from dge_ray.seeds import Purpose, integer
from dge_ray.table.schema.table_schema import TableSchema

END = "<|end|>"
HEADS = 4
NEW_ROWS = ORDER + 100  # the stream of embeddings that a loaded model lacks: index at Purpose.FIT
TAKES = "a folder or a hub's name of a causal language model with safetensors weights and a fast tokeniser"


class CausalLm(OfText[CausalLmSettings]):
    """A transformer of one text column. Settings: `CausalLmSettings`."""

    name = "causal_lm"
    abilities = CausalLmSettings.abilities
    least_epochs = 3
    architecture = ("model", "tokens", "width", "layers")

    def _start(
        self, schema: TableSchema, rows: FitRows, *, seed: int, device: str, source: Checkpoint | None
    ) -> Start[TextModel]:
        s, text = self.settings, text_column(schema).name
        if source is not None:
            model = self._restored(source, device)
        else:
            rest = Rest.fit(schema, rows, s.epochs, seed=seed, device=device)
            with torch.random.fork_rng(devices=[]):  # the package draws first weights from the global generator
                torch.manual_seed(integer(seed, Purpose.FIT, index=WEIGHTS))
                module, words = self._new(rows.seen[text], rest) if s.model is None else self._loaded(s.model, rest)
            _settle_new_rows(module, words, stream(seed, NEW_ROWS))
            model = self._model(schema, rest, module, words, device)
        network: CausalNetwork = model.network
        first = network.flat.flat.clone()
        return self._training(schema, rows, model, lambda _: network.flat.flat.copy_(first), seed=seed)

    def _new(self, texts: np.ndarray, rest: Rest) -> tuple[Any, SubWords]:
        """A small GPT-2, and byte pairs of the texts."""
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # type: ignore[import-not-found]
        from transformers import AutoModelForCausalLM, GPT2Config  # type: ignore[import-not-found]

        s = self.settings
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=s.vocabulary,
            min_frequency=s.rows_per_word,
            special_tokens=[END],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator((text for text in texts if text is not None), trainer)
        words = SubWords(tokenizer, tokenizer.token_to_id(END), tokenizer.get_vocab_size(), s.tokens)
        config = GPT2Config(
            vocab_size=words.missing + 1 + sum(rest.sizes),
            n_positions=s.tokens + max(len(rest.sizes), 1),
            n_embd=s.width,
            n_layer=s.layers,
            n_head=HEADS,
            bos_token_id=words.end,
            eos_token_id=words.end,
        )
        return AutoModelForCausalLM.from_config(config), words

    def _loaded(self, place: str, rest: Rest) -> tuple[Any, SubWords]:
        """A model with its tokeniser, and rows of its embedding for a null and the other columns' tokens.

        Raises:
            InputError: it cannot be loaded, its tokeniser is none that JSON describes, or its texts are too short.
        """
        from transformers import AutoModelForCausalLM, AutoTokenizer  # type: ignore[import-not-found]

        safe = {"trust_remote_code": False}
        try:
            tokenizer = AutoTokenizer.from_pretrained(place, use_fast=True, **safe)
            module = AutoModelForCausalLM.from_pretrained(place, use_safetensors=True, dtype=torch.float32, **safe)
        except Exception as error:  # whatever the package says of a folder or a name that will not do
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            raise InputError("generator.model", f"{place!r}, which cannot be loaded ({reason})", TAKES) from None
        if not tokenizer.is_fast or tokenizer.eos_token_id is None:
            raise InputError("generator.model", f"{place!r}, whose tokeniser is slow or has no end token", TAKES)
        most = getattr(module.config, "max_position_embeddings", None)
        if most is not None and self.settings.tokens + max(len(rest.sizes), 1) > most:
            takes = f"at most {most - max(len(rest.sizes), 1)} with {place!r}"
            raise InputError("generator.tokens", str(self.settings.tokens), takes)
        missing = max(module.get_input_embeddings().weight.shape[0], len(tokenizer))
        words = SubWords(tokenizer.backend_tokenizer, tokenizer.eos_token_id, missing, self.settings.tokens)
        module.resize_token_embeddings(missing + 1 + sum(rest.sizes), mean_resizing=False)
        return module, words

    def _model(self, schema: TableSchema, rest: Rest, module: Any, words: SubWords, device: str) -> TextModel:
        missing = text_column(schema).missing
        return TextModel(rest, words, CausalNetwork(module, words, rest.sizes, missing=missing, device=device))

    def _files(self, model: TextModel) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        arrays, rest = model.rest.files()
        network: CausalNetwork = model.network
        arrays["weights"] = network.flat.flat.cpu().numpy()
        extra = {
            "rest": rest,
            "config": json.loads(network.module.config.to_json_string(use_diff=False)),
            "tokenizer": network.words.tokenizer.to_str(),
            "end": network.words.end,
            "missing": network.words.missing,
        }
        return arrays, extra

    def _restored(self, saved: Checkpoint, device: str) -> TextModel:
        from tokenizers import Tokenizer  # type: ignore[import-not-found]
        from transformers import AutoConfig, AutoModelForCausalLM  # type: ignore[import-not-found]

        extra = saved.extra
        tokenizer = Tokenizer.from_str(extra["tokenizer"])
        words = SubWords(tokenizer, extra["end"], extra["missing"], self.settings.tokens)
        settings = {key: value for key, value in extra["config"].items() if key != "model_type"}
        config = AutoConfig.for_model(extra["config"]["model_type"], **settings)
        with torch.random.fork_rng(devices=[]):
            module = AutoModelForCausalLM.from_config(config)
        model = self._model(saved.schema, Rest.restored(saved, device), module, words, device)
        model.network.flat.flat.copy_(torch.from_numpy(saved.arrays["weights"]))
        return model


def _settle_new_rows(module: Any, words: SubWords, random: torch.Generator) -> None:
    """Embeddings of the tokens that the tokeniser has not: near the mean of the others, and each its own."""
    with torch.no_grad():
        for layer in (module.get_input_embeddings(), module.get_output_embeddings()):
            if layer is not None:
                old, new = layer.weight[: words.missing], layer.weight[words.missing :]
                new.copy_(old.mean(0) + old.std() * torch.randn(new.shape, generator=random))
