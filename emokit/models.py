"""Model: a Hugging Face model and its tokenizer, its blocks, prompts, generation and log-probabilities."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from . import chances, fetch, generation, products, ranks, replay
from .errors import EmokitError, check_text
from .progress import progress
from .structure import (
    check_cache,
    check_kind,
    find_blocks,
    find_norm,
    fingerprint,
    glance,
    place,
    takes_several,
    takes_wider,
)  # fmt: skip

Message = dict[str, str]
TURN_ENDS = ("<|im_end|>", "<end_of_turn>", "<|eot_id|>", "<|end|>", "<|endoftext|>", "</s>")
NOT_FINITE = "Load it with dtype=torch.float32; under steering, use a smaller strength."

# one lock and one list of active steers per Hugging Face model, however many `Model`s wrap it
_SHARED: weakref.WeakKeyDictionary[Any, tuple[Any, list[Any]]] = weakref.WeakKeyDictionary()


def load_model(
    name: str | os.PathLike[str] | None = None,
    *,
    device: str | None = None,
    dtype: torch.dtype | None = None,
    blocks: str | None = None,
    device_map: str | dict[str, Any] | None = None,
    offload_folder: str | os.PathLike[str] | None = None,
) -> Model:
    """Load a causal language model: SmolLM2-135M-Instruct, or a hub id, a `save_pretrained` folder or a .gguf file.

    `$EMOKIT_MODEL` changes the default. `device` is a GPU where there is one, `dtype` float32 on a CPU and the
    checkpoint's own on a GPU. `blocks` names the list of decoder layers where it can't be found by its length.
    A model too large for one device goes over all of them, memory and disk with `device_map="auto"`, or as a dictionary
    from modules to devices says; what lies on the disk is read where it is, or from `offload_folder`.
    Raises EmokitError for a name that is no model, an encoder-decoder, a model whose blocks can't be read, and one that
    keeps its state elsewhere than in a key-value cache (Mamba, RWKV).

    >>> model = emokit.load_model()
    >>> model
    Model(SmolLM2-135M-Instruct, 30 blocks x 576, float32 on cpu)
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    if name is not None and not isinstance(name, (str, os.PathLike)):
        raise EmokitError("not the name of a model", name, "Name a hub id, a save_pretrained folder or a .gguf file.")
    if device and device_map is not None:
        raise EmokitError("both a device and a device_map", (device, device_map), "Give one of them.")
    chosen = str(name or os.environ.get("EMOKIT_MODEL") or fetch.NAME)
    device = device or ranks.device()
    path = Path(chosen).expanduser()
    if chosen == fetch.NAME:
        source = str(fetch.default_model())
    elif path.suffix == ".gguf":
        if not os.path.isfile(path):  # a Path's own is_file raises for a name too long
            raise EmokitError("no such GGUF file", chosen, "Check the path.")
        source = str(fetch.convert(path))
    else:
        source = str(path) if os.path.isdir(path) else chosen
    local = os.path.isdir(source)
    try:
        with fetch.quiet():
            config = AutoConfig.from_pretrained(source, local_files_only=local)
            check_kind(config, chosen)
            tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=local)
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                source,
                config=config,
                local_files_only=local,
                dtype=dtype or (torch.float32 if torch.device(device).type == "cpu" else "auto"),
                **({} if device_map is None else {"device_map": device_map, "offload_folder": offload_folder}),
            )
            hf = loaded.to(device) if device_map is None else loaded
            if device_map is None:  # else accelerate has a say in how a part computes
                products.quicken(hf)
    except EmokitError:
        raise
    except Exception as error:  # hub, safetensors, config and device errors come in many types
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise EmokitError(
            f"cannot load a model ({first})",
            chosen,
            f"Name a hub id, a save_pretrained folder or a .gguf file; leave it out for {fetch.NAME}.",
        ) from error
    return Model(hf, tokenizer, path.stem if path.suffix == ".gguf" else chosen, blocks=blocks)


class Model:
    """A causal language model whose residual stream emokit can read and steer.

    `hf` and `tokenizer` are the Hugging Face objects; `blocks` the decoder layers (0-based), `n_blocks` their number,
    `width` the residual stream's size; `lock` is held while the model reads or generates and for the whole of a `steer`.
    Raises EmokitError when the blocks can't be found or don't lead to the model's own output, or its cache can't be used.
    """

    def __init__(self, hf: Any, tokenizer: Any, name: str = "model", *, blocks: str | None = None) -> None:
        check_kind(hf.config, name)
        self.hf = hf.eval()  # no dropout
        self.tokenizer = tokenizer
        self.name = Path(name).name if os.path.isdir(name) else name
        self.lock, self.steers = _SHARED.setdefault(hf, (threading.RLock(), []))  # steering.py keeps the active steers
        self.trying = 0  # how many `unsteered` there are: passes meanwhile are no work of the model
        config = self.hf.config.get_text_config()
        self.blocks = find_blocks(hf, config.num_hidden_layers, blocks)
        self.n_blocks, self.width = len(self.blocks), int(config.hidden_size)
        self.context: int | None = getattr(config, "max_position_embeddings", getattr(config, "max_seq_len", None))
        self.reply_from: int | torch.Tensor | None = (
            None  # where the reply begins in the running forward pass, for steer(positions=)
        )
        self._fingerprint: tuple[str, str] | None = None
        self.norm = find_norm(hf, self.blocks, self.name)
        check_cache(hf, self.name)

    def __repr__(self) -> str:
        dtype = str(self.dtype).removeprefix("torch.")
        return f"Model({self.name}, {self.n_blocks} blocks x {self.width}, {dtype} on {self.device})"

    @property
    def device(self) -> torch.device:
        """The device of the input embeddings."""
        return place(self.hf.get_input_embeddings())

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return self.hf.get_input_embeddings().weight.dtype

    @property
    def fingerprint(self) -> str:
        """Twelve digits that change with the config and the weights; kept while nothing seems to have changed them."""
        state = glance(self.hf)
        if self._fingerprint is None or self._fingerprint[0] != state:
            self._fingerprint = state, fingerprint(self.hf)
        return self._fingerprint[1]

    def facts(self) -> dict[str, Any]:
        """What a file made with this model says of it: name, fingerprint, type, n_blocks, width, dtype."""
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "type": self.hf.config.model_type,
            "n_blocks": self.n_blocks,
            "width": self.width,
            "dtype": str(self.dtype).removeprefix("torch."),
        }

    # what the model allows, found out when first asked, by trying

    @contextmanager
    def unsteered(self) -> Iterator[None]:
        """Within the `with` no active steer acts: for trying what the model itself does."""
        with self.lock:
            active = list(self.steers)
            self.trying += 1
            try:
                for steer in active:
                    steer.paused = True
                yield
            finally:
                self.trying -= 1
                for steer in active:
                    steer.paused = False

    @cached_property
    def shares_prefix(self) -> bool:
        """Whether a prefix can be read once, and several texts behind it."""
        with self.unsteered():
            return takes_several(self.hf)

    @cached_property
    def widens(self) -> bool:
        """Whether, beyond that, the blocks before a steer can be read once for all rows."""
        if not self.shares_prefix:
            return False
        with self.unsteered():
            return takes_wider(self.hf, self.blocks)

    @cached_property
    def replays(self) -> bool:
        """Whether what the blocks made of a prompt can stand for their computation (see `replay`)."""
        return replay.works(self)

    # prompts and tokens

    def prompt(self, content: str | Sequence[Message], reply: bool = True) -> str:
        """The text that the model sees before its reply: the chat template's, or `Human: ...\\n\\nAssistant:` without one.

        With `reply=False`, nothing is added that asks for a reply.

        >>> model.prompt("Hello")[-30:]
        'Hello<|im_end|>\\n<|im_start|>assistant\\n'
        """
        messages = checked_messages(content)
        if self.tokenizer.chat_template:
            try:
                return self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=reply)
            except Exception as error:  # templates raise jinja errors of their own
                raise EmokitError(f"the chat template refuses these messages ({error})", messages) from error
        names = {"system": "", "user": "Human: ", "assistant": "Assistant: "}
        parts = [names.get(message["role"], "Human: ") + message["content"] for message in messages]
        return "\n\n".join(parts + (["Assistant:"] if reply else []))

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, with exactly one BOS where the tokenizer adds one, and never an EOS of its own accord."""
        check_text(text)
        ids = self.tokenizer(text, add_special_tokens=self.adds_special(text))["input_ids"]
        eos = self.tokenizer.eos_token_id
        return ids[:-1] if ids and ids[-1] == eos and not text.endswith(self.tokenizer.eos_token) else ids

    def check_length(self, ids: Sequence[int], text: Any, room: int = 0) -> None:
        """Raise EmokitError for no tokens, or more than the context holds with `room` for further ones."""
        if not ids:
            raise EmokitError("the text is empty", text, "Give the model some text.")
        if self.context and len(ids) + room > self.context:
            raise EmokitError(
                f"the text has {len(ids)} tokens, beyond the context of {self.context}", text, "Shorten it."
            )

    def adds_special(self, text: str) -> bool:
        """Whether to let the tokenizer add its BOS to a text: not where the text already begins with it."""
        bos = self.tokenizer.bos_token
        return not (bos and text.startswith(bos))

    @property
    def stop_tokens(self) -> set[int]:
        """Every token that ends a turn: the config's, the tokenizer's and the known ones of the vocabulary."""
        listed = self.hf.generation_config.eos_token_id
        ids = set(listed if isinstance(listed, list) else [listed]) | {self.tokenizer.eos_token_id}
        known = zip(TURN_ENDS, self.tokenizer.convert_tokens_to_ids(list(TURN_ENDS)), strict=True)
        ids |= {i for token, i in known if i is not None and self.tokenizer.convert_ids_to_tokens(i) == token}
        return {i for i in ids if i is not None}

    @cached_property
    def pieces(self) -> tuple[str, ...]:
        """The text of every token of the vocabulary, by id; "" where an id has none."""
        size = self.hf.get_output_embeddings().weight.shape[0]
        known = len(self.tokenizer)
        return tuple(self.tokenizer.batch_decode([[i] for i in range(min(size, known))])) + ("",) * max(0, size - known)

    # generation

    def generate(
        self,
        content: str | Sequence[Message],
        max_new_tokens: int = 100,
        temperature: float = 0.0,
        seed: int | None = None,
    ) -> str:
        """The model's reply to a text or a list of messages; greedy at temperature 0, else sampled with `seed`.

        >>> model.generate("Name a colour.", max_new_tokens=5)
        """
        with self.lock:
            pieces = self.stream(content, max_new_tokens, temperature, seed)
            return "".join(progress(pieces, total=max_new_tokens, desc="generating", unit="tok"))

    def stream(
        self,
        content: str | Sequence[Message],
        max_new_tokens: int = 100,
        temperature: float = 0.0,
        seed: int | None = None,
    ) -> Iterator[str]:
        """The reply piece by piece, as soon as each token is there; closing the iterator stops the model.

        A stream begun inside a `steer` has to be consumed inside it, and raises EmokitError elsewhere.
        """
        ids = self.encode(self.prompt(content))
        return generation.pieces(self, ids, max_new_tokens, temperature, seed, self.own_steers())

    def own_steers(self) -> list[Any]:
        """The active steers of this thread, outermost first."""
        return [steer for steer in list(self.steers) if steer.thread == threading.get_ident()]

    def text(self, ids: Sequence[int]) -> str:
        """The text of token ids, without special tokens."""
        return self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def forward(self, **inputs: Any) -> torch.Tensor:
        """Logits of one forward pass; raises EmokitError if they are NaN, or an active steer did not act on it."""
        with self.steered():
            logits = self.hf(**inputs).logits
        if logits.isnan().any():
            raise EmokitError("the model's output is NaN", str(self), NOT_FINITE)
        return logits

    @contextmanager
    def steered(self, last: int | None = None) -> Iterator[None]:
        """Raise EmokitError if an active steer does not act within the block, in a pass that ends at block `last`."""
        before = [(steer, steer.fired) for steer in self.steers]
        yield
        for steer, count in before:
            if steer.fired <= count and (last is None or min(steer.blocks) <= last):
                raise EmokitError(
                    "the steering hooks did not run",
                    do="All would be unsteered; leave the `with` and load the model again.",
                )

    @contextmanager
    def replying(self, start: int | torch.Tensor | None) -> Iterator[None]:
        """Tell positional steering where in the coming forward pass the reply begins: the last prompt token's index,
        since that token brings forth the first of the reply (a tensor: one index a row); -1 when the prompt is past."""
        self.reply_from, before = start, self.reply_from
        try:
            yield
        finally:
            self.reply_from = before

    def logprobs(self, prompt: str | Sequence[Message], continuations: Sequence[str]) -> list[float]:
        """Log-probability (nats, summed over tokens) of each continuation after a prompt taken as it is.

        A string is used as written, without the chat template; a list of messages goes through `prompt`.

        >>> model.logprobs("The sky is", [" blue", " cheese"])
        """
        text = prompt if isinstance(prompt, str) else self.prompt(prompt)
        ids, tails = chances.tails(self, text, continuations)
        if not tails:
            return []
        alike = all(steer.rows == 1 for steer in self.steers)  # else each continuation may be steered in its own way
        if not (alike and chances.pays(self, ids, tails)):
            return chances.whole(self, ids, tails)
        size = chances.room(self, len(ids), tails)
        with self.lock:
            prefix = chances.read(self, ids)
            parts = [tails[start : start + size] for start in range(0, len(tails), size)]
            return [float(value) for part in parts for value in chances.behind(self, prefix, part)[0]]


def checked_messages(content: str | Sequence[Message]) -> list[Message]:
    """The messages of a text or a conversation; raises EmokitError for what is neither, and for an empty one."""
    if isinstance(content, bytes) or not isinstance(content, Sequence):
        raise EmokitError(
            "not a text or a list of messages", content, 'Use "..." or [{"role": "user", "content": "..."}].'
        )
    messages: list[Any] = [{"role": "user", "content": content}] if isinstance(content, str) else list(content)
    for message in messages:
        if not isinstance(message, dict) or not all(isinstance(message.get(k), str) for k in ("role", "content")):
            raise EmokitError("not a chat message", message, 'Use {"role": "user", "content": "..."}.')
    if not any(message["content"].strip() for message in messages):
        raise EmokitError("the prompt is empty", content, "Give the model some text.")
    return messages
