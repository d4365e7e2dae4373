"""The transformers extra: its law against every sequence written out, weights from a folder, and what is refused."""

import itertools
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from helpers.generator_cases import SMALL

from dge_ray.errors import InputError
from dge_ray.generators.registry import generator_class, installed
from dge_ray.table import TableSchema, infer_schema

if not installed("causal_lm"):
    pytest.skip("transformers (the extra `text`) is not installed", allow_module_level=True)

import transformers  # type: ignore[import-not-found]
from tokenizers import Tokenizer, models, pre_tokenizers  # type: ignore[import-not-found]

from dge_ray.generators.text.causal_network import PAD, CausalNetwork, SubWords

WORDS = {"<end>": 0, "<unk>": 1, "a": 2, "good": 3, "bad": 4, "film": 5}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny GPT-2 and its word tokeniser, as `save_pretrained` leaves them."""
    tokenizer = Tokenizer(models.WordLevel(WORDS, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", unk_token="<unk>")
    fast.save_pretrained(tmp_path / "model")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.GPT2Config(vocab_size=6, n_positions=8, n_embd=8, n_layer=1, n_head=2, eos_token_id=0)
        transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def reviews() -> tuple[pa.Table, TableSchema]:
    label = np.random.default_rng(0).integers(0, 2, 80)
    table = pa.table({"text": [f"a {'good' if code else 'bad'} film" for code in label], "label": label})
    return table, infer_schema(table, target="label", overrides={"text": "text"})


def test_probabilities_of_all_texts_add_up_to_one_and_draws_are_among_them() -> None:
    config = transformers.GPT2Config(vocab_size=8, n_positions=4, n_embd=8, n_layer=1, n_head=2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = transformers.GPT2LMHeadModel(config)
    network = CausalNetwork(module, SubWords(None, end=0, missing=5, most=3), (2,), missing=True)  # type: ignore[arg-type]
    network.flat.flat.mul_(3.0)
    texts = [text for text in itertools.product(range(6), repeat=3)]
    ended = {text[: next((i + 1 for i, t in enumerate(text) if t in (0, 5)), 3)] for text in texts}
    tokens = torch.full((len(ended), 3), PAD, dtype=torch.int32)
    for row, text in zip(tokens, sorted(ended), strict=True):
        row[: len(text)] = torch.tensor(text)
    ones = torch.ones(1, len(ended), dtype=torch.int64)
    assert float(network.log_prob(tokens, ones).exp().sum()) == pytest.approx(1.0, abs=1e-5)
    drawn = network.draw(torch.ones(1, 500, dtype=torch.int64), torch.Generator().manual_seed(0))
    assert {tuple(t for t in row if t != PAD) for row in drawn.tolist()} <= ended
    first = np.bincount(drawn[:, 0].numpy(), minlength=6) / 500
    law = network.log_prob(tokens, ones).exp().numpy()
    shares = np.bincount([text[0] for text in sorted(ended)], law, minlength=6)
    assert np.abs(first - shares).max() < 4 * 0.5 / np.sqrt(500)  # four standard errors at the most


def test_weights_from_a_folder_are_fine_tuned_and_the_folder_is_not_needed_again(folder: Path, tmp_path: Path) -> None:
    table, schema = reviews()
    made = generator_class("causal_lm")(model=str(folder), tokens=5, epochs=30, lr=1e-2)
    made.fit(table, schema, seed=0)
    rows = made.sample(60, seed=1)
    agree = [("good" in text) == bool(label) for text, label in zip(*rows.to_pydict().values(), strict=True)]
    assert np.mean(agree) > 0.8  # far from the half of a label that says nothing
    made.save(tmp_path / "saved")
    for file in folder.iterdir():
        file.unlink()
    again = generator_class("causal_lm").load(tmp_path / "saved")
    assert again.sample(60, seed=1).equals(rows)
    np.testing.assert_array_equal(again.log_prob(table), made.log_prob(table))


def test_no_epochs_to_speak_of_leave_the_folders_weights(folder: Path) -> None:
    """At a rate of next to nothing the text's law is that of the saved model after the label's token."""
    table, schema = reviews()
    made = generator_class("causal_lm")(model=str(folder), tokens=5, epochs=1, lr=1e-8).fit(table, schema, seed=0)
    module = transformers.AutoModelForCausalLM.from_pretrained(folder)
    kept = made._state()[1].network.module.get_input_embeddings().weight[:6]
    torch.testing.assert_close(kept, module.get_input_embeddings().weight, rtol=0, atol=1e-6)


def test_what_cannot_be_loaded_is_refused_in_one_line(folder: Path) -> None:
    table, schema = reviews()

    def refused(match: str, **settings: object) -> None:
        with pytest.raises(InputError, match=match) as caught:
            generator_class("causal_lm")(**{**SMALL["causal_lm"], **settings}).fit(table, schema, seed=0)
        assert "\n" not in str(caught.value)

    refused(r"generator\.model", model=str(folder / "absent"))
    refused(r"generator\.tokens: got 12; takes at most 7", model=str(folder))
    weights = (folder / "model.safetensors").read_bytes()
    torch.save({}, folder / "pytorch_model.bin")  # a pickle is no substitute
    (folder / "model.safetensors").unlink()
    refused(r"generator\.model", model=str(folder), tokens=5)
    (folder / "model.safetensors").write_bytes(weights)
    config = json.loads((folder / "config.json").read_text())
    code = {"auto_map": {"AutoModelForCausalLM": "code.Model", "AutoConfig": "code.Config"}, "model_type": "own"}
    (folder / "config.json").write_text(json.dumps(config | code))
    (folder / "code.py").write_text("raise SystemExit('code of the repository was run')")
    refused(r"generator\.model", model=str(folder), tokens=5)
