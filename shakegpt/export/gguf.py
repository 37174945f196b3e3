"""A model as one GGUF file, the format of llama.cpp and the programs around it.

The tensors are written unchanged: fp32, matrices (out, in). Three properties of llama.cpp matter:

- Its ``gpt2`` architecture approximates GELU by tanh and ours does not, so its logits differ in the third decimal. At
  temperature 0 the texts can differ from where two characters are almost equally likely.
- Its GPT-2 tokenizer treats id 11 as the end of the text. The ``rwkv`` tokenizer has no special tokens and matches
  the longest entry byte by byte, which for single characters is our vocabulary.
- It does not slide the window: prompt and new text must fit into the context.
"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from shakegpt.data.vocabulary import Vocabulary
from shakegpt.errors import ShakegptError
from shakegpt.export.bundle import weight_names
from shakegpt.runs.checkpoint import Checkpoint

if TYPE_CHECKING:
    from gguf import GGUFWriter

MODEL_FILE = "model.gguf"
_EPSILON = 1e-5  # of every LayerNorm: torch's default
_OUTER_NAMES = {
    "token_embedding": "token_embd",
    "position_embedding": "position_embd",
    "final_norm": "output_norm",
}
_BLOCK_NAMES = {
    "attention_norm": "attn_norm",
    "attention.query_key_value": "attn_qkv",
    "attention.projection": "attn_output",
    "mlp_norm": "ffn_norm",
    "mlp.expansion": "ffn_up",
    "mlp.projection": "ffn_down",
}


def export_files(checkpoint: Checkpoint, *, name: str) -> dict[str, bytes]:
    """Return a checkpoint as one GGUF file.

    Raises:
        ShakegptError: the ``gguf`` package is not installed.
    """
    try:
        from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType
    except ImportError as error:
        raise ShakegptError("Writing GGUF takes the gguf package: pip install 'shakegpt[gguf]'.") from error
    config = checkpoint.config
    with tempfile.TemporaryDirectory(prefix="shakegpt-") as folder:
        path = Path(folder) / MODEL_FILE
        writer = GGUFWriter(path, "gpt2")
        writer.add_name(name)
        writer.add_description(f"A character-level GPT-2 of {config.parameters:,} weights, trained with shakegpt")
        writer.add_context_length(config.block_size)
        writer.add_embedding_length(config.d_model)
        writer.add_feed_forward_length(config.d_ff)
        writer.add_block_count(config.n_layer)
        writer.add_head_count(config.n_head)
        writer.add_layer_norm_eps(_EPSILON)
        writer.add_file_type(LlamaFileType.ALL_F32)
        _describe_tokens(writer, checkpoint.vocabulary)
        names = weight_names(config, outer=_OUTER_NAMES, block=_BLOCK_NAMES, prefix="blk")
        for ours, theirs in names.items():
            writer.add_tensor(theirs, checkpoint.weights[ours].numpy(), raw_dtype=GGMLQuantizationType.F32)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return {MODEL_FILE: path.read_bytes()}


def _describe_tokens(writer: "GGUFWriter", vocabulary: Vocabulary) -> None:
    """Write the vocabulary: one entry per character, in the notation of Python's bytes, which ``rwkv`` reads."""
    from gguf import TokenType

    writer.add_vocab_size(len(vocabulary))
    writer.add_tokenizer_model("rwkv")
    writer.add_token_list([repr(character.encode())[2:-1] for character in vocabulary.itos])
    writer.add_token_types([TokenType.NORMAL] * len(vocabulary))
    writer.add_add_bos_token(False)  # noqa: FBT003
    writer.add_add_eos_token(False)  # noqa: FBT003
