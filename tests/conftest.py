"""Tiny random models and a byte tokenizer, built here, and the real SmolLM2 for the tests marked `truth`."""

from __future__ import annotations

import pytest
import torch
from browser.lab import desk, notebook  # noqa: F401 (fixtures; a second conftest.py would hide this one)
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

import emokit
from emokit.stories import Story, StorySet

CHAT = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def byte_tokenizer(chat: bool = True, bos: bool = True) -> PreTrainedTokenizerFast:
    """A tokenizer with a token a byte; with `bos` it begins every text with <s>."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<s>", "</s>", "<|end|>", "<|user|>", "<|assistant|>"]
    vocabulary = {token: i for i, token in enumerate(special + alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 0)]
        )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>" if bos else None, eos_token="</s>", pad_token="</s>"
    )
    fast.chat_template = CHAT if chat and bos else None
    return fast


def tiny_model(seed: int = 0, chat: bool = True, bos: bool = True, **config: object) -> emokit.Model:
    """A random Llama of 4 blocks x 32."""
    torch.manual_seed(seed)
    settings = dict(
        vocab_size=272, hidden_size=32, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, initializer_range=0.2, bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    hf = LlamaForCausalLM(LlamaConfig(**(settings | config))).eval()
    return emokit.Model(hf, byte_tokenizer(chat, bos), "tiny")


@pytest.fixture(autouse=True)
def own_cache(request: pytest.FixtureRequest, tmp_path, monkeypatch) -> None:
    """Every test has an empty cache of its own, but those of the real model, which share the user's."""
    if request.node.get_closest_marker("truth") is None:
        monkeypatch.setenv("EMOKIT_CACHE", str(tmp_path / "cache"))
        monkeypatch.delenv("EMOKIT_MODEL", raising=False)


@pytest.fixture
def model() -> emokit.Model:
    return tiny_model()


@pytest.fixture
def stories() -> StorySet:
    """Three emotions x four topics whose words differ, and neutral stories."""
    words = {"happy": "sun song smile", "sad": "rain loss tear", "angry": "slam shout heat"}
    rows = [
        Story(emotion, topic, f"{topic}: {word} again, {word} at the {topic}.")
        for emotion, word in words.items()
        for topic in ("garden", "office", "school", "harbour")
    ]
    neutral = tuple(
        Story("neutral", t, f"The {t} has a door and {n} tables.") for n, t in enumerate(("hall", "shed", "yard"))
    )
    return StorySet(tuple(rows), neutral)


@pytest.fixture
def vectors(model, stories) -> emokit.EmotionVectors:
    return emokit.extract(model, stories)


@pytest.fixture(scope="session")
def smol() -> emokit.Model:
    return emokit.load_model(emokit.fetch.NAME)


@pytest.fixture(scope="session")
def smol_vectors(smol) -> emokit.EmotionVectors:
    return emokit.extract(smol, emokit.load_stories())


def hooks(model: emokit.Model) -> int:
    """How many hooks the whole model carries."""
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.hf.modules())


@pytest.fixture(scope="module")
def run():
    pytest.importorskip("resource", reason="forks and kills")
    import faults

    server = faults.Server()
    yield server
    server.close()
