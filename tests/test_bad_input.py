"""What a beginner may get wrong: each call of the table is refused by an EmokitError that says what it is and the way out."""

from pathlib import Path

import numpy as np
import pytest
from conftest import hooks, stories, tiny_model

import emokit
from emokit import EmokitError, EmotionVectors, activations, dose, geometry
from emokit.dose import Panel
from emokit.stories import Story, StorySet

NAN, INF = float("nan"), float("inf")
NUL, LONE, LONG = "\0", "a \ud800 b", "x" * 100_000
ROW = '{"emotion": "sad", "topic": "t", "text": "It ended."}'


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    """Model, vectors, stories and a folder, made once for the whole table."""
    patch = pytest.MonkeyPatch()
    patch.setenv("EMOKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
    model, rows = tiny_model(), stories.__wrapped__()
    vectors = emokit.extract(model, rows)
    patch.undo()
    return model, vectors, rows


def steering(m, v, strengths, **how):
    with emokit.steer(m, v, strengths, **how):
        m.hf(input_ids=m.hf.dummy_inputs["input_ids"])


def written(folder, name, content):
    path = Path(folder) / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def with_rows(rows, *pairs, neutral=()):
    """Stories of (emotion, topic, text)."""
    return StorySet(tuple(Story(*pair) for pair in pairs), neutral or rows.neutral)


def foreign(v):
    """Vectors whose provenance names other weights."""
    made = {**v.provenance, "model": {**v.provenance["model"], "fingerprint": "0" * 12, "name": "other"}}
    return EmotionVectors(v.emotions, v.directions, v.mean, v.norms, v.best_block, made)


def cut(v, folder, change):
    """A vectors file, changed byte by byte."""
    path = Path(folder) / "v.safetensors"
    v.save(path)
    path.write_bytes(change(path.read_bytes()))
    return path


# name: (call of model, vectors, stories, folder; words that the message must contain)
TABLE = {
    # load_model
    "load_model of no model": (lambda m, v, s, f: emokit.load_model(f / "none"), "cannot load a model|.gguf|SmolLM2"),
    "load_model of no GGUF file": (lambda m, v, s, f: emokit.load_model(f / "none.gguf"), "no such GGUF file|none.gguf"),
    "load_model of a damaged GGUF file": (lambda m, v, s, f: emokit.load_model(written(f, "x.gguf", "no")), "x.gguf"),
    "load_model of a text file": (lambda m, v, s, f: emokit.load_model(written(f, "x.txt", "no")), "cannot load a model|x.txt"),
    "load_model of a number": (lambda m, v, s, f: emokit.load_model(3), "name of a model|3|hub id"),
    "load_model of stories": (lambda m, v, s, f: emokit.load_model(s), "name of a model|StorySet|hub id"),
    "load_model of a name with NUL": (lambda m, v, s, f: emokit.load_model("a\0b"), "cannot load a model|hub id"),
    "load_model on no device": (lambda m, v, s, f: emokit.load_model(f, device="gpu"), "cannot load a model"),
    # load_stories, load_messages
    "load_stories of no file": (lambda m, v, s, f: emokit.load_stories(f / "x.jsonl"), "no such story file|x.jsonl"),
    "load_stories of an emotion as path": (lambda m, v, s, f: emokit.load_stories("happy"), "no such story file|happy|emotions="),
    "load_stories of emotions as path": (lambda m, v, s, f: emokit.load_stories(["happy", "sad"]), "not a path|['happy', 'sad']"),
    "load_stories of a number": (lambda m, v, s, f: emokit.load_stories(3), "path|3"),
    "load_stories of a NUL path": (lambda m, v, s, f: emokit.load_stories("a\0b"), "not a path|NUL"),
    "load_stories of an empty folder": (lambda m, v, s, f: emokit.load_stories(f), "no .jsonl or .csv file in the folder"),
    "load_stories of an empty file": (lambda m, v, s, f: emokit.load_stories(written(f, "e.jsonl", "")), "no story|e.jsonl"),
    "load_stories of a truncated row": (lambda m, v, s, f: emokit.load_stories(written(f, "t.jsonl", ROW + "\n" + ROW[:40])), "t.jsonl:2|on one line"),
    "load_stories of an empty story": (lambda m, v, s, f: emokit.load_stories(written(f, "t.jsonl", ROW.replace("It ended.", " "))), "t.jsonl:1 has no text"),
    "load_stories of a number for a text": (lambda m, v, s, f: emokit.load_stories(written(f, "t.jsonl", ROW.replace('"It ended."', "3"))), "t.jsonl:1|text|3"),
    "load_stories of a lone surrogate": (lambda m, v, s, f: emokit.load_stories(written(f, "t.jsonl", ROW.replace("ended", "\\ud800"))), "t.jsonl:1|\\ud800"),
    "load_stories of Latin-1": (lambda m, v, s, f: emokit.load_stories(written(f, "t.jsonl", ROW.replace("t\"", "\xe9\"").encode("latin-1"))), "t.jsonl|UTF-8"),
    "load_stories of a misspelt emotion": (lambda m, v, s, f: emokit.load_stories(emotions=["hapy"]), "unknown emotion|hapy|happy"),
    "load_stories of no emotion near": (lambda m, v, s, f: emokit.load_stories(emotions="zzz"), "unknown emotion|zzz|afraid|more"),
    "load_stories of no emotions": (lambda m, v, s, f: emokit.load_stories(emotions=[]), "no story"),
    "load_stories of a number as emotions": (lambda m, v, s, f: emokit.load_stories(emotions=3), "emotion|3|afraid"),
    "load_stories of a CSV without columns": (lambda m, v, s, f: emokit.load_stories(written(f, "t.csv", "a,b\n1,2\n")), "t.csv|Begin the file with"),
    "load_messages of a misspelt emotion": (lambda m, v, s, f: emokit.load_messages(["angri"]), "unknown emotion|angri|angry"),
    "load_messages of a number": (lambda m, v, s, f: emokit.load_messages(3), "emotion|3"),
    "save to a place below a file": (lambda m, v, s, f: s.save(written(f, "file", "x") / "s.jsonl"), "cannot write|s.jsonl"),
    "save to a folder": (lambda m, v, s, f: s.save(f), "cannot write"),
    "save to no name": (lambda m, v, s, f: s.save(""), "cannot write|Name a file"),
    "save to a NUL": (lambda m, v, s, f: s.save(f / "a\0b"), "not a path|NUL"),
    "save of vectors to no name": (lambda m, v, s, f: v.save("/"), "cannot write|Name a file"),
    "load_stories of a text": (lambda m, v, s, f: emokit.load_stories(ROW * 9), "no such story file|It ended"),
    "load_model of a long name": (lambda m, v, s, f: emokit.load_model(str(f / LONG) + ".gguf"), "no such GGUF file"),
    "load of vectors of a long name": (lambda m, v, s, f: EmotionVectors.load(LONG), "no such vectors file"),
    "save to a number": (lambda m, v, s, f: s.save(3), "path|3"),
    "a Story of a lone surrogate": (lambda m, v, s, f: Story("sad", "t", LONE), "a story|surrogate|\\ud800"),
    # extract, validate, story_means, readouts
    "extract of a list": (lambda m, v, s, f: emokit.extract(m, list(s)), "not a StorySet|load_stories"),
    "extract with swapped arguments": (lambda m, v, s, f: emokit.extract(s, m), "not a Model|StorySet|load_model"),
    "extract with a model's name": (lambda m, v, s, f: emokit.extract("SmolLM2", s), "not a Model|SmolLM2|load_model"),
    "extract of one emotion": (lambda m, v, s, f: emokit.extract(m, StorySet(s.stories[:4], s.neutral)), "too few emotions|happy|two"),
    "extract of no story": (lambda m, v, s, f: emokit.extract(m, StorySet(())), "too few emotions|two"),
    "extract of an emotion with one story": (lambda m, v, s, f: emokit.extract(m, StorySet(s.stories[:5], s.neutral)), "one story|sad"),
    "extract of an empty story": (lambda m, v, s, f: emokit.extract(m, with_rows(s, *[(e, t, "") for e in "ab" for t in "12"])), "a story|text|Fill it in"),
    "extract of a one-token story": (lambda m, v, s, f: emokit.extract(m, with_rows(s, *[(e, t, "x") for e in "ab" for t in "12"])), "tokens|needs|write more|'x'"),
    "extract of one topic": (lambda m, v, s, f: emokit.extract(m, with_rows(s, *[(e, "t", f"{e} went {i} ways") for e in "ab" for i in range(3)])), "one topic|two topics|'a'"),
    "extract of an overlong story": (lambda m, v, s, f: emokit.extract(m, with_rows(s, *[(e, t, LONG) for e in "ab" for t in "12"])), "context of 512|Shorten"),
    "extract of a number for a text": (lambda m, v, s, f: emokit.extract(m, with_rows(s, *[(e, t, 5) for e in "ab" for t in "12"])), "text|5"),
    "extract of a lone surrogate": (lambda m, v, s, f: emokit.extract(m, with_rows(s, *[(e, t, LONE) for e in "ab" for t in "12"])), "\\ud800"),
    "validate of a list": (lambda m, v, s, f: emokit.validate(m, list(s)), "not a StorySet|load_stories"),
    "validate with swapped arguments": (lambda m, v, s, f: emokit.validate(s, m), "not a Model|load_model"),
    "validate of vectors": (lambda m, v, s, f: emokit.validate(m, v), "not a StorySet|EmotionVectors"),
    "validate of one emotion": (lambda m, v, s, f: emokit.validate(m, StorySet(s.stories[:4], s.neutral)), "too few emotions|happy"),
    "validate of one topic": (lambda m, v, s, f: emokit.validate(m, with_rows(s, *[(e, "t", f"{e} went {i} ways") for e in "ab" for i in range(3)])), "one topic|two topics|'a'"),
    "validate of an emotion with one story": (lambda m, v, s, f: emokit.validate(m, StorySet(s.stories[:5], s.neutral)), "one story|sad"),
    "story_means of one text": (lambda m, v, s, f: activations.story_means(m, "one text"), "texts|list|one text"),
    "story_means of a number": (lambda m, v, s, f: activations.story_means(m, [5]), "text|5"),
    "story_means of None": (lambda m, v, s, f: activations.story_means(m, None), "list|None"),
    "story_means of a short text": (lambda m, v, s, f: activations.story_means(m, ["x"]), "tokens|needs"),
    "story_means of stories": (lambda m, v, s, f: activations.story_means(m, s), "text|Story"),
    "readouts of one prompt": (lambda m, v, s, f: activations.readouts(m, "one prompt"), "list|one prompt"),
    "readouts of an empty prompt": (lambda m, v, s, f: activations.readouts(tiny_model(bos=False), [""]), "token"),
    "readouts of an overlong prompt": (lambda m, v, s, f: activations.readouts(m, [LONG]), "context of 512"),
    "readouts of None": (lambda m, v, s, f: activations.readouts(m, [None]), "text|None"),
    # read
    "read with swapped arguments": (lambda m, v, s, f: emokit.read(v, m, "x"), "not a Model|EmotionVectors|load_model"),
    "read without vectors": (lambda m, v, s, f: emokit.read(m, s, "x"), "not an EmotionVectors|StorySet|extract"),
    "read of an empty text": (lambda m, v, s, f: emokit.read(m, v, ""), "empty|Give"),
    "read of None": (lambda m, v, s, f: emokit.read(m, v, None), "text|None"),
    "read of a number": (lambda m, v, s, f: emokit.read(m, v, 5), "text|5"),
    "read of bytes": (lambda m, v, s, f: emokit.read(m, v, b"abc"), "text|abc"),
    "read of a list of texts": (lambda m, v, s, f: emokit.read(m, v, ["a", "b"]), "not a chat message|'a'|role"),
    "read of one message": (lambda m, v, s, f: emokit.read(m, v, {"role": "user", "content": "x"}), "message|list"),
    "read of no messages": (lambda m, v, s, f: emokit.read(m, v, []), "empty"),
    "read of a content that is no text": (lambda m, v, s, f: emokit.read(m, v, [{"role": "user", "content": 3}]), "chat message|3"),
    "read of a lone surrogate": (lambda m, v, s, f: emokit.read(m, v, LONE), "\\ud800"),
    "read of an overlong text": (lambda m, v, s, f: emokit.read(m, v, LONG), "context of 512|Shorten"),
    "read of an unknown block": (lambda m, v, s, f: emokit.read(m, v, "x", block=99), "unknown block|99|0 to 3"),
    "read of a block in words": (lambda m, v, s, f: emokit.read(m, v, "x", block="best"), "unknown block|best|0 to 3"),
    "read with another model's vectors": (lambda m, v, s, f: emokit.read(m, foreign(v), "x"), "other weights|other|extract again"),
    "read with a smaller model's vectors": (lambda m, v, s, f: emokit.read(tiny_model(num_hidden_layers=2), v, "x"), "4 blocks|2 x 32|extract again"),
    "plot of an unknown emotion": (lambda m, v, s, f: emokit.read(m, v, "hello").plot(["hapy"]), "unknown emotion|hapy|happy"),
    # steer, sweep
    "steer with swapped arguments": (lambda m, v, s, f: steering(v, m, {"happy": 0.1}), "not a Model|load_model"),
    "steer without vectors": (lambda m, v, s, f: steering(m, s, {"happy": 0.1}), "not an EmotionVectors|extract"),
    "steer of a word": (lambda m, v, s, f: steering(m, v, "happy"), "no dictionary|happy"),
    "steer of an unknown emotion": (lambda m, v, s, f: steering(m, v, {"hapy": 0.1}), "unknown emotion|hapy|happy"),
    "steer of a number as emotion": (lambda m, v, s, f: steering(m, v, {3: 0.1}), "not an emotion|3"),
    "steer with NaN": (lambda m, v, s, f: steering(m, v, {"happy": NAN}), "no finite number|nan"),
    "steer with infinity": (lambda m, v, s, f: steering(m, v, {"happy": -INF}), "no finite number|inf"),
    "steer with too large a number": (lambda m, v, s, f: steering(m, v, {"happy": 1e300}), "no finite number|1e+300"),
    "steer with a text": (lambda m, v, s, f: steering(m, v, {"happy": "0.2"}), "no finite number|0.2"),
    "steer with None": (lambda m, v, s, f: steering(m, v, {"happy": None}), "no finite number|None"),
    "steer with True": (lambda m, v, s, f: steering(m, v, {"happy": True}), "no finite number|True"),
    "steer with texts in a list": (lambda m, v, s, f: steering(m, v, {"happy": ["0.1", "0.2"]}), "no finite number|0.1"),
    "steer with a complex number": (lambda m, v, s, f: steering(m, v, {"happy": 1j}), "no finite number|1j"),
    "steer at an unknown block": (lambda m, v, s, f: steering(m, v, {"happy": 0.1}, blocks=4), "unknown block|4|0 to 3"),
    "steer at a block in words": (lambda m, v, s, f: steering(m, v, {"happy": 0.1}, blocks="all"), "unknown block|all|0 to 3"),
    "steer at no block": (lambda m, v, s, f: steering(m, v, {"happy": 0.1}, blocks=[]), "no block|0 to 3"),
    "steer at unknown positions": (lambda m, v, s, f: steering(m, v, {"happy": 0.1}, positions="last"), "unknown positions|last|reply"),
    "steer with positions in a list": (lambda m, v, s, f: steering(m, v, {"happy": 0.1}, positions=["all"]), "unknown positions|all"),
    "steer with another model's vectors": (lambda m, v, s, f: steering(m, foreign(v), {"happy": 0.1}), "other weights"),
    "steer with another model's Direction": (lambda m, v, s, f: steering(m, v, {foreign(v)["happy"]: 0.1}), "Direction of these vectors|happy"),
    "sweep of an unknown emotion": (lambda m, v, s, f: emokit.sweep(m, v, "x", "hapy", [0.1]), "unknown emotion|hapy|happy"),
    "sweep with one strength": (lambda m, v, s, f: emokit.sweep(m, v, "x", "happy", 0.1), "strength|0.1|list"),
    "sweep with NaN": (lambda m, v, s, f: emokit.sweep(m, v, "x", "happy", [NAN, 0.1]), "no finite number|nan"),
    "sweep with words": (lambda m, v, s, f: emokit.sweep(m, v, "x", "happy", ["much"]), "strength|much"),
    "sweep with prompt and emotion swapped": (lambda m, v, s, f: emokit.sweep(m, v, "happy", "Tell me.", [0.1]), "unknown emotion|Tell me."),
    "sweep of an empty prompt": (lambda m, v, s, f: emokit.sweep(m, v, " ", "happy", [0.1]), "prompt is empty"),
    "sweep with swapped arguments": (lambda m, v, s, f: emokit.sweep(v, m, "x", "happy", [0.1]), "not a Model|load_model"),
    # generate, stream, prompt, logprobs
    "prompt of None": (lambda m, v, s, f: m.prompt(None), "text|None|role"),
    "prompt of a number": (lambda m, v, s, f: m.prompt(5), "text|5"),
    "prompt of one message": (lambda m, v, s, f: m.prompt({"role": "user", "content": "x"}), "message|list"),
    "prompt of a message without a role": (lambda m, v, s, f: m.prompt([{"content": "x"}]), "not a chat message|role"),
    "prompt of a message with no content": (lambda m, v, s, f: m.prompt([{"role": "user", "content": None}]), "chat message|None"),
    "prompt of an unknown role without a template": (lambda m, v, s, f: tiny_model(chat=False).prompt([{"role": ["x"], "content": "x"}]), "chat message|role"),
    "generate of nothing": (lambda m, v, s, f: m.generate(""), "prompt is empty|Give"),
    "generate of half a token": (lambda m, v, s, f: m.generate("a", 2.5), "max_new_tokens|2.5"),
    "generate of a number in words": (lambda m, v, s, f: m.generate("a", "5"), "max_new_tokens|'5'"),
    "generate of no token": (lambda m, v, s, f: m.generate("a", 0), "max_new_tokens|0|1 or more"),
    "generate at a temperature below zero": (lambda m, v, s, f: m.generate("a", 3, -1), "temperature|-1"),
    "generate at NaN": (lambda m, v, s, f: m.generate("a", 3, NAN), "temperature|nan"),
    "generate at infinity": (lambda m, v, s, f: m.generate("a", 3, INF), "temperature|inf"),
    "generate at a temperature in words": (lambda m, v, s, f: m.generate("a", 3, "hot"), "temperature|hot"),
    "generate with a seed in words": (lambda m, v, s, f: m.generate("a", 3, 1.0, "x"), "seed|x|whole number"),
    "generate with half a seed": (lambda m, v, s, f: m.generate("a", 3, 1.0, 0.5), "seed|0.5"),
    "generate with a huge seed": (lambda m, v, s, f: m.generate("a", 3, 1.0, 10**30), "seed|1000"),
    "generate of a long text": (lambda m, v, s, f: m.generate(LONG), "context of 512|Shorten"),
    "generate of a lone surrogate": (lambda m, v, s, f: m.generate(LONE), "\\ud800"),
    "stream of nothing": (lambda m, v, s, f: next(m.stream(" \n")), "prompt is empty"),
    "stream of no token": (lambda m, v, s, f: next(m.stream("a", 0)), "max_new_tokens|0"),
    "stream with a seed in words": (lambda m, v, s, f: next(m.stream("a", 3, 1.0, "x")), "seed|x"),
    "logprobs of a text": (lambda m, v, s, f: m.logprobs("a", "b"), "list|'b'"),
    "logprobs of None": (lambda m, v, s, f: m.logprobs("a", None), "list|None"),
    "logprobs of a number": (lambda m, v, s, f: m.logprobs("a", [5]), "continuation|5"),
    "logprobs of an empty continuation": (lambda m, v, s, f: m.logprobs("a", [""]), "no token|Give"),
    "logprobs after a number": (lambda m, v, s, f: m.logprobs(5, ["a"]), "text|5"),
    "logprobs after nothing": (lambda m, v, s, f: tiny_model(bos=False).logprobs("", ["a"]), "empty|Give"),
    "logprobs beyond the context": (lambda m, v, s, f: m.logprobs("a", [LONG]), "context of 512"),
    "logprobs of a lone surrogate": (lambda m, v, s, f: m.logprobs("a", [LONE]), "\\ud800"),
    # dose
    "Panel without {X}": (lambda m, v, s, f: Panel("X mg", [1, 2]), "without {X}|X mg|Write {X}"),
    "Panel with another brace": (lambda m, v, s, f: Panel("{x} mg", [1, 2]), "without {X}|{x} mg"),
    "Panel of a number": (lambda m, v, s, f: Panel(5, [1, 2]), "template|5"),
    "Panel with one value": (lambda m, v, s, f: Panel("{X}", [1]), "fewer than two values|[1]"),
    "Panel with a number for values": (lambda m, v, s, f: Panel("{X}", 5), "values|5|list"),
    "Panel with a text for values": (lambda m, v, s, f: Panel("{X}", "15"), "values|'15'|list"),
    "Panel with swapped arguments": (lambda m, v, s, f: Panel([1, 2], "{X}"), "template|[1, 2]"),
    "Panel with a list as expectation": (lambda m, v, s, f: Panel("{X}", [1, 2], ["afraid"]), "expect|afraid|\"up\""),
    "Panel with an emotion as expectation": (lambda m, v, s, f: Panel("{X}", [1, 2], "afraid"), "expect|afraid|\"up\""),
    "Panel with a wrong way": (lambda m, v, s, f: Panel("{X}", [1, 2], {"afraid": "rising"}), "neither up nor down|rising"),
    "Panel with a way as a number": (lambda m, v, s, f: Panel("{X}", [1, 2], {"afraid": 1}), "neither up nor down|1"),
    "Panel with a twin without {X}": (lambda m, v, s, f: Panel("{X}", [1, 2], twin="no"), "without {X}|no"),
    "Panel with a rung": (lambda m, v, s, f: Panel("{X}", [1, 2], ladder=["a"]), "fewer than two rungs|a"),
    "Panel with a text as ladder": (lambda m, v, s, f: Panel("{X}", [1, 2], ladder="a little"), "ladder|a little|list"),
    "Panel with numbers as rungs": (lambda m, v, s, f: Panel("{X}", [1, 2], ladder=[1, 2]), "ladder|1"),
    "dose of an unknown emotion": (lambda m, v, s, f: dose.run(m, v, [Panel("{X}", [1, 2], {"hapy": "up"})]), "unknown emotion|hapy|happy"),
    "dose of no panel": (lambda m, v, s, f: dose.run(m, v, []), "no panel"),
    "dose of a text": (lambda m, v, s, f: dose.run(m, v, "{X} mg"), "panel|{X} mg"),
    "dose of texts": (lambda m, v, s, f: dose.run(m, v, ["{X} mg"]), "Panel|{X} mg"),
    "dose of a number": (lambda m, v, s, f: dose.run(m, v, 5), "panel|5"),
    "dose at an unknown block": (lambda m, v, s, f: dose.run(m, v, Panel("{X}", [1, 2]), 99), "unknown block|99|0 to 3"),
    "dose with swapped arguments": (lambda m, v, s, f: dose.run(v, m), "not a Model|load_model"),
    "dose with stories": (lambda m, v, s, f: dose.run(m, s), "not an EmotionVectors|extract"),
    "dose of a long sentence": (lambda m, v, s, f: dose.run(m, v, Panel("{X}" + LONG, [1, 2])), "context of 512"),
    "dose curve of an unknown emotion": (lambda m, v, s, f: dose.run(m, v, p := Panel("{X}", [1, 2])).curve(p, "panel", "hapy"), "unknown emotion|hapy|happy"),
    "dose plot of an unknown kind": (lambda m, v, s, f: dose.run(m, v, Panel("{X}", [1, 2])).plot("stairs"), "stairs"),
    # geometry
    "pca of stories": (lambda m, v, s, f: geometry.pca(s), "not an EmotionVectors|StorySet|extract"),
    "by_block of stories": (lambda m, v, s, f: geometry.by_block(s), "not an EmotionVectors|StorySet|extract"),
    "by_block of three rated emotions": (lambda m, v, s, f: geometry.by_block(v), "too few rated emotions|happy|five"),
    "by_block with a seed in words": (lambda m, v, s, f: geometry.by_block(v, seed="x"), "seed|x"),
    "similarity of a model": (lambda m, v, s, f: geometry.similarity(v, m), "not an EmotionVectors|extract"),
    "similarity of three emotions": (lambda m, v, s, f: geometry.similarity(v, v, 0, 1), "too few emotions|happy|at least 5"),
    "similarity with itself": (lambda m, v, s, f: geometry.similarity(v), "same directions|other_block"),
    "similarity at an unknown block": (lambda m, v, s, f: geometry.similarity(v, other_block=99), "unknown block|99|0 to 3"),
    "similarity with a seed in words": (lambda m, v, s, f: geometry.similarity(v, other_block=0, seed="x"), "seed|x"),
    "similarity_map of a number": (lambda m, v, s, f: geometry.similarity_map(v, 3), "not an EmotionVectors|3"),
    "left_out of a model": (lambda m, v, s, f: geometry.left_out(m), "not an EmotionVectors|extract"),
    "left_out of three emotions": (lambda m, v, s, f: geometry.left_out(v), "too few rated emotions|happy|five"),
    "left_out of an unknown rating": (lambda m, v, s, f: geometry.left_out(v, rating="hue"), "unknown rating|hue|arousal"),
    "left_out of a rating as list": (lambda m, v, s, f: geometry.left_out(v, rating=["valence"]), "unknown rating|valence"),
    "confounds with swapped arguments": (lambda m, v, s, f: geometry.confounds(m, v, s), "not a StorySet|EmotionVectors"),
    "confounds of no model": (lambda m, v, s, f: geometry.confounds(s, s, v), "not a Model|StorySet"),
    "confounds of another model's vectors": (lambda m, v, s, f: geometry.confounds(m, s, foreign(v)), "other weights"),
    "confounds at an unknown block": (lambda m, v, s, f: geometry.confounds(m, s, v, 4), "unknown block|4|0 to 3"),
    # EmotionVectors, Direction
    "load of no file": (lambda m, v, s, f: EmotionVectors.load(f / "v"), "no such vectors file|save"),
    "load of a number": (lambda m, v, s, f: EmotionVectors.load(3), "path|3"),
    "load of a folder": (lambda m, v, s, f: EmotionVectors.load(f), "no such vectors file"),
    "load of a story file": (lambda m, v, s, f: EmotionVectors.load(written(f, "s.jsonl", ROW)), "no safetensors file|s.jsonl"),
    "load of an empty file": (lambda m, v, s, f: EmotionVectors.load(written(f, "v", "")), "truncated|save again"),
    "load of a truncated file": (lambda m, v, s, f: EmotionVectors.load(cut(v, f, lambda b: b[:-9])), "truncated|v.safetensors"),
    "load of another schema": (lambda m, v, s, f: EmotionVectors.load(cut(v, f, lambda b: b.replace(rb'\"schema\": 1', rb'\"schema\": 9'))), "unknown schema 9|reads schema 1"),
    "load of another count": (lambda m, v, s, f: EmotionVectors.load(cut(v, f, lambda b: b.replace(b"angry", b"happy"))), "fit"),
    "load of NaN": (lambda m, v, s, f: EmotionVectors.load(cut(v, f, lambda b: b[:-4] + np.float32(NAN).tobytes())), "NaN"),
    "load for another model": (lambda m, v, s, f: EmotionVectors.load(cut(v, f, bytes), tiny_model(seed=1)), "other weights|tiny"),
    "load for no model": (lambda m, v, s, f: EmotionVectors.load(cut(v, f, bytes), "SmolLM2"), "not a Model|SmolLM2|load_model"),
    "save of vectors to a folder": (lambda m, v, s, f: v.save(f), "cannot write"),
    "check of no model": (lambda m, v, s, f: v.check(s), "not a Model|StorySet"),
    "at an unknown block": (lambda m, v, s, f: v.at(4), "unknown block|4|0 to 3"),
    "at a block below zero": (lambda m, v, s, f: v.at(-1), "unknown block|-1|0 to 3"),
    "at half a block": (lambda m, v, s, f: v.at(1.5), "unknown block|1.5"),
    "[] of an unknown emotion": (lambda m, v, s, f: v["hapy"], "unknown emotion|'hapy'|happy"),
    "[] of no emotion near": (lambda m, v, s, f: v["zzz"], "unknown emotion|happy, sad, angry"),
    "[] of a number": (lambda m, v, s, f: v[0], "unknown emotion|0|happy, sad, angry"),
    "[] of a list": (lambda m, v, s, f: v[["happy"]], "unknown emotion|['happy']"),
    "Direction plus a number": (lambda m, v, s, f: v["happy"] + 1, "Direction|1"),
    "Direction minus a word": (lambda m, v, s, f: v["happy"] - "sad", "Direction|'sad'|vectors"),
    "Direction times a word": (lambda m, v, s, f: v["happy"] * "2", "number|'2'"),
    "Direction times NaN": (lambda m, v, s, f: v["happy"] * NAN, "number|nan"),
    "Direction times infinity": (lambda m, v, s, f: INF * v["happy"], "number|inf"),
    "Direction times a Direction": (lambda m, v, s, f: v["happy"] * v["sad"], "number|sad"),
    "Direction plus another model's": (lambda m, v, s, f: v["happy"] + foreign(v)["sad"], "same model|sad"),
    "random with a seed in words": (lambda m, v, s, f: v.random("x"), "seed|x"),
    "validate with a seed in words": (lambda m, v, s, f: emokit.validate(m, s, seed="x"), "seed|x"),
    "dose with a seed in words": (lambda m, v, s, f: dose.run(m, v, Panel("{X}", [1, 2], {"sad": "up"}), seed="x").verdict, "seed|x"),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE)
def test_bad_input_is_refused_with_words_that_name_it_and_the_way_out(kit, tmp_path, case):
    call, expected = TABLE[case]
    with pytest.raises(EmokitError) as caught:
        call(*kit, tmp_path)
    message = str(caught.value)
    assert [word for word in expected.split("|") if word not in message] == [], message
    assert len(message) < 1200  # a value of any size is shown in short
    assert kit[0].steers == []
    assert hooks(kit[0]) == 0
