"""The GGUF file, read by the ``gguf`` package and run by llama.cpp itself."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest

from shakegpt.config import SamplingConfig
from shakegpt.errors import ShakegptError
from shakegpt.export.bundle import write_bundle
from shakegpt.export.gguf import MODEL_FILE, export_files
from shakegpt.generation.stream import Stream
from shakegpt.model.language_model import LanguageModel
from shakegpt.runs.checkpoint import Checkpoint
from shakegpt.runs.store import Store

gguf = pytest.importorskip("gguf", reason="the gguf extra is not installed")
PROMPT = "ROMEO:\n  O, what"


@pytest.fixture(scope="session")
def checkpoint(trained_home: Path) -> Checkpoint:
    return Store(trained_home).open("macbeth")


@pytest.fixture(scope="session")
def file(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gguf") / "out"
    write_bundle(folder, export_files(checkpoint, name="macbeth@30"))
    return folder / MODEL_FILE


@pytest.fixture(scope="session")
def reader(file: Path) -> Any:
    return gguf.GGUFReader(file)


def test_the_fields_describe_the_model(reader: Any, checkpoint: Checkpoint) -> None:
    config = checkpoint.config
    expected = {
        "general.architecture": "gpt2",
        "general.name": "macbeth@30",
        "gpt2.context_length": config.block_size,
        "gpt2.embedding_length": config.d_model,
        "gpt2.feed_forward_length": config.d_ff,
        "gpt2.block_count": config.n_layer,
        "gpt2.attention.head_count": config.n_head,
        "gpt2.attention.layer_norm_epsilon": pytest.approx(1e-5),
        "tokenizer.ggml.model": "rwkv",
    }
    assert {name: reader.get_field(name).contents() for name in expected} == expected


def test_every_weight_is_unchanged(reader: Any, checkpoint: Checkpoint) -> None:
    found = {tensor.name: tensor for tensor in reader.tensors}
    assert len(found) == len(checkpoint.weights)
    pairs = {
        "token_embd.weight": "token_embedding.weight",
        "position_embd.weight": "position_embedding.weight",
        "output_norm.bias": "final_norm.bias",
        "blk.0.attn_qkv.weight": "blocks.0.attention.query_key_value.weight",
        "blk.0.attn_output.bias": "blocks.0.attention.projection.bias",
        "blk.0.ffn_up.weight": "blocks.0.mlp.expansion.weight",
        "blk.0.ffn_down.weight": "blocks.0.mlp.projection.weight",
        "blk.0.ffn_norm.weight": "blocks.0.mlp_norm.weight",
    }
    for theirs, ours in pairs.items():
        assert found[theirs].tensor_type == gguf.GGMLQuantizationType.F32
        assert numpy.array_equal(found[theirs].data, checkpoint.weights[ours].numpy()), theirs


def test_equal_checkpoints_give_equal_bytes(file: Path, checkpoint: Checkpoint) -> None:
    """safetensors returns the weights in another order each time."""
    weights = dict(reversed(checkpoint.weights.items()))
    assert export_files(replace(checkpoint, weights=weights), name="macbeth@30") == {MODEL_FILE: file.read_bytes()}


def test_the_names_are_those_of_the_architecture(reader: Any, checkpoint: Checkpoint) -> None:
    known = gguf.get_tensor_name_map(gguf.MODEL_ARCH.GPT2, checkpoint.config.n_layer)
    for tensor in reader.tensors:
        assert known.get_name(tensor.name, try_suffixes=(".weight", ".bias")) == tensor.name


def test_the_tokens_are_the_characters(reader: Any, checkpoint: Checkpoint) -> None:
    tokens = reader.get_field("tokenizer.ggml.tokens").contents()
    characters = [token.encode().decode("unicode_escape").encode("latin-1").decode() for token in tokens]
    assert "".join(characters) == checkpoint.vocabulary.characters


def test_without_the_package_the_error_says_what_to_install(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(ShakegptError, match=r"pip install 'shakegpt\[gguf\]'"):
        export_files(checkpoint, name="macbeth")


# llama.cpp logs, listens and keeps threads: it gets a process of its own.
LLAMA = """
import json, sys, urllib.request
import xllamacpp
path, prompt, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
parameters = xllamacpp.CommonParams()
parameters.model.path, parameters.warmup, parameters.n_parallel, parameters.n_ctx = path, False, 1, 64
parameters.cpuparams.n_threads = 1
server = xllamacpp.Server(parameters)
def ask(place, **body):
    request = urllib.request.Request(server.listening_address + place, json.dumps(body).encode())
    return json.load(urllib.request.urlopen(request))
tokens = ask("/tokenize", content=prompt)["tokens"]
written = ask("/completion", prompt=prompt, n_predict=count, temperature=0.0, n_probs=1)
print(json.dumps({"tokens": tokens, "text": written["content"], "again": ask("/detokenize", tokens=tokens)["content"],
    "logprobs": [each["logprob"] for each in written["completion_probabilities"]]}))
"""


def test_llama_cpp_writes_the_same_greedy_text(file: Path, checkpoint: Checkpoint) -> None:
    pytest.importorskip("xllamacpp", reason="llama.cpp's prebuilt package is not installed")
    count = 40
    done = subprocess.run(
        [sys.executable, "-c", LLAMA, str(file), PROMPT, str(count)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["tokens"] == checkpoint.vocabulary.encode(PROMPT)
    assert answer["again"] == PROMPT
    language_model = LanguageModel(model=checkpoint.model(), vocabulary=checkpoint.vocabulary, name="macbeth")
    ours = list(Stream(language_model, PROMPT, SamplingConfig(temperature=0, length=count)))
    assert answer["text"] == "".join(character.text for character in ours)
    # Its GELU is the tanh approximation: near, not equal.
    assert numpy.exp(answer["logprobs"]) == pytest.approx([character.probability for character in ours], abs=0.01)
