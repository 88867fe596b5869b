"""Traps that other toolkits fell into and that belong to no one module: swallowed arguments, locks, hooks, hidden I/O."""

import builtins
import functools
import inspect
import os
import socket
import sys
import threading

import numpy as np
import pytest
import torch
from conftest import hooks, tiny_model

import emokit
from emokit import activations

CHAT = [{"role": "user", "content": "Is it so?"}, {"role": "assistant", "content": "It is."}]


def dropping(model, *names):
    """The same model, one whose forward passes take these arguments and ignore them, as `**kwargs` do."""
    for module in (model.hf, model.hf.base_model):
        forward = module.forward

        @functools.wraps(forward)
        def ignoring(*args, _forward=forward, **kwargs):
            return _forward(*args, **{k: v for k, v in kwargs.items() if k not in names})

        module.forward = ignoring
    return model


# arguments that are silently swallowed


@pytest.mark.parametrize("name", ["logits_to_keep", "attention_mask"])
def test_results_do_not_depend_on_an_argument_that_models_may_ignore(vectors, name):
    """Masks too: padding is on the right, where a causal model does not look."""
    prompts = ["He feels", "She said that it was all over, and then"]

    def results(model):
        return (
            model.generate("Hello", max_new_tokens=8),
            emokit.sweep(model, vectors, "Hello", "happy", [0.4], max_new_tokens=4).replies,
            model.logprobs(prompts[0], [" sad", " quite happy today"]),
            activations.story_stats(model, prompts, cache=False)[0].tolist(),
            activations.readouts(model, prompts, cache=False).tolist(),
        )

    for plain, ignored in zip(results(tiny_model()), results(dropping(tiny_model(), name)), strict=True):
        if isinstance(plain, list):
            np.testing.assert_allclose(ignored, plain, atol=1e-4)
        else:
            assert ignored == plain


def test_reading_does_not_depend_on_use_cache_being_honoured(vectors):
    expected = emokit.read(tiny_model(), vectors, CHAT).scores, tiny_model().logprobs("He feels", [" sad", " so well"])
    model = dropping(tiny_model(), "use_cache")
    np.testing.assert_array_equal(emokit.read(model, vectors, CHAT).scores, expected[0])
    assert model.logprobs("He feels", [" sad", " so well"]) == pytest.approx(expected[1], abs=1e-4)


def public_functions():
    """Every public function, and every public method of a public class, by name."""
    for name in emokit.__all__:
        value = getattr(emokit, name) if name != "widgets" else None
        if inspect.isfunction(value):
            yield name, value
        elif inspect.isclass(value):
            yield name, value.__init__
            methods = [(m, getattr(value, m)) for m in vars(value) if not m.startswith("_")]
            yield from ((f"{name}.{m}", f) for m, f in methods if inspect.isroutine(f))
        elif inspect.ismodule(value):
            functions = [(f, o) for f, o in vars(value).items() if inspect.isfunction(o) and not f.startswith("_")]
            yield from ((f"{name}.{f}", o) for f, o in functions if o.__module__ == value.__name__)


def test_no_public_function_swallows_a_misspelt_argument():
    found = dict(public_functions())
    assert {"read", "steer", "Model.generate", "dose.run", "EmotionVectors.load", "Model"} <= found.keys()
    taking_all = {
        name
        for name, f in found.items()
        if callable(f) and any(p.kind is p.VAR_KEYWORD for p in inspect.signature(f).parameters.values())
    }
    assert taking_all == {"Model.forward"}  # which hands them to the model as they are


def test_misspelt_arguments_are_type_errors(model, vectors, stories):
    for call in (
        lambda: emokit.read(model, vectors, "Hello", blocks=1),
        lambda: emokit.steer(model, vectors, {"happy": 0.1}, block=1),
        lambda: emokit.extract(model, stories, caches=False),
        lambda: emokit.sweep(model, vectors, "Hello", "happy", [0.1], blocks=[1]),
        lambda: model.generate("Hello", max_tokens=3),
        lambda: emokit.load_model("x", torch_dtype=torch.float16),
    ):
        with pytest.raises(TypeError, match="unexpected keyword"):
            call()


def test_arguments_of_load_model_reach_the_loader(model, tmp_path):
    folder = tmp_path / "m"
    model.hf.to(torch.bfloat16).save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    assert emokit.load_model(folder, device="cpu").dtype is torch.float32  # whatever the checkpoint's own is
    assert emokit.load_model(folder, dtype=torch.float16).dtype is torch.float16
    assert {p.dtype for p in emokit.load_model(folder, dtype=torch.bfloat16).hf.parameters()} == {torch.bfloat16}
    with pytest.raises(emokit.EmokitError, match="decoder layers"):
        emokit.load_model(folder, blocks="model.nothing")


# exactly one BOS, on every way into the model


def test_every_way_into_the_model_has_exactly_one_bos(model, vectors):
    seen = []

    def look(_m, args, kwargs):
        ids = kwargs.get("input_ids", args[0] if args else None)
        seen.extend(row.tolist() for row in ids)

    assert model.shares_prefix  # found out once, by passes of any tokens
    model.hf.base_model.register_forward_pre_hook(look, with_kwargs=True)
    prompt = model.prompt(CHAT[:1])
    assert prompt.startswith("<s>")
    for way in (
        lambda: emokit.read(model, vectors, CHAT),
        lambda: emokit.read(model, vectors, prompt),
        lambda: emokit.read(model, vectors, "plain text"),
        lambda: model.generate(CHAT[:1], max_new_tokens=1),
        lambda: model.logprobs(CHAT[:1], ["yes", "yes"]),
        lambda: model.logprobs("plain", [" text", " text"]),
        lambda: activations.readouts(model, [prompt], cache=False),
        lambda: activations.story_means(model, [prompt], cache=False),
        lambda: emokit.sweep(model, vectors, "Hi", "sad", [0.1], max_new_tokens=1),
    ):
        seen.clear()
        way()
        assert seen
        assert all(ids[0] == 0 and ids.count(0) == 1 for ids in seen)


# hooks of the user's own


@pytest.mark.parametrize("first", [True, False])
def test_a_users_reading_hook_sees_the_steered_state_whoever_came_first(model, vectors, first):
    seen = []

    def keep(_m, _i, out):
        seen.append(out.clone())

    ids = torch.tensor([model.encode("Is it so?")])
    block = model.blocks[1]
    with torch.no_grad():
        handle = block.register_forward_hook(keep)
        model.hf(ids)
        if not first:
            handle.remove()
        with emokit.steer(model, vectors, {"happy": 0.5}, blocks=1):
            if not first:
                block.register_forward_hook(keep)
            model.hf(ids)
    expected = 0.5 * vectors.norms[1] * vectors["happy"].rows[1]
    torch.testing.assert_close(seen[1] - seen[0], torch.from_numpy(expected).expand_as(seen[0]), atol=1e-4, rtol=1e-4)
    assert hooks(model) == 1  # the user's own stays


def test_reading_sees_a_users_hook_that_changes_the_residual_when_the_cache_is_off(model, vectors):
    texts = ["The kettle boiled over."]
    plain = activations.story_means(model, texts)
    shift = torch.linspace(-1, 1, 32)
    handle = model.blocks[3].register_forward_hook(lambda _m, _i, out: out + shift)
    changed = activations.story_means(model, texts, cache=False)
    np.testing.assert_allclose(changed[:, 3] - plain[:, 3], shift[None], atol=1e-4)
    np.testing.assert_array_equal(changed[:, :3], plain[:, :3])
    handle.remove()
    np.testing.assert_array_equal(activations.story_means(model, texts), plain)  # and was not kept


# pictures of results do no I/O


def test_showing_a_result_opens_no_file_and_no_socket(model, vectors, stories, monkeypatch):
    shown = [
        emokit.read(model, vectors, "The phone rang at 3 a.m. 😀"),
        emokit.sweep(model, vectors, "Hello", "happy", [0.4], max_new_tokens=2),
        emokit.validate(model, stories),
    ]
    ways = [(r, way) for r in shown for way in ("_repr_html_", "_repr_png_", "__repr__", "to_frame") if hasattr(r, way)]
    assert [way for r, way in ways if r is shown[0]] == ["_repr_html_", "_repr_png_", "__repr__", "to_frame"]
    for result, way in ways:
        getattr(result, way)()  # imports, fonts

    def refuse(*args, **_kwargs):
        raise AssertionError(f"I/O: {args}")

    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        patch.setattr(socket, "create_connection", refuse)
        patch.setattr(builtins, "open", refuse)
        patch.setattr("io.open", refuse)
        patch.setattr(os, "open", refuse)
        results = [getattr(result, way)() for result, way in ways]
    assert all(r is not None for r in results)


# threads


WAYS = {
    "generate": lambda m, v: m.generate("Hello", max_new_tokens=2),
    "stream": lambda m, v: list(m.stream("Hello", max_new_tokens=2)),
    "logprobs": lambda m, v: m.logprobs("He feels", [" sad"]),
    "read": lambda m, v: emokit.read(m, v, "Is it so?"),
    "readouts": lambda m, v: activations.readouts(m, ["Is it so?"], cache=False),
    "story_means": lambda m, v: activations.story_means(m, ["Is it so, then?"], cache=False),
    "sweep": lambda m, v: emokit.sweep(m, v, "Hello", "happy", [0.1], max_new_tokens=2),
}


def elsewhere(function):
    """The function's value, computed in another thread."""
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join(20)
    return found[0]


def free(model):
    """Whether another thread could take the model's lock now."""
    if taken := model.lock.acquire(blocking=False):
        model.lock.release()
    return taken


@pytest.mark.parametrize("way", WAYS)
def test_the_lock_is_held_in_every_forward_pass_and_free_afterwards(model, vectors, way):
    seen = []
    model.blocks[0].register_forward_hook(lambda *_: seen.append(elsewhere(lambda: free(model))))
    WAYS[way](model, vectors)
    assert seen
    assert not any(seen)
    assert elsewhere(lambda: free(model))


def test_generate_holds_the_lock_between_tokens_and_stream_does_not(model, monkeypatch):
    seen = []
    text = model.text

    def looking(ids):
        seen.append(elsewhere(lambda: free(model)))
        return text(ids)

    monkeypatch.setattr(model, "text", looking)
    model.generate("Hello", max_new_tokens=2)
    assert set(seen) == {False}
    seen.clear()
    list(model.stream("Hello", max_new_tokens=2))
    assert set(seen) == {True}


@pytest.mark.parametrize("way", WAYS)
def test_the_lock_can_be_taken_again_by_its_own_thread(model, vectors, way):
    def nested():
        with model.lock, emokit.steer(model, vectors, {"sad": 0.1}):
            WAYS[way](model, vectors)
        return "done"

    assert elsewhere(nested) == "done"
    assert hooks(model) == 0


@pytest.mark.parametrize("way", ["generate", "logprobs", "read", "readouts"])
def test_another_thread_waits_until_the_steering_is_over(model, vectors, way):
    def value():
        result = WAYS[way](model, vectors)
        return getattr(result, "scores", result)

    expected, found = value(), []
    with emokit.steer(model, vectors, {"happy": 0.9}):
        assert not np.array_equal(value(), expected)
        thread = threading.Thread(target=lambda: found.append(value()))
        thread.start()
        thread.join(0.2)
        assert found == []
    thread.join(20)
    assert np.array_equal(found[0], expected)


@pytest.fixture
def restless():
    """Threads change places all the time."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def test_readings_beside_a_steering_thread_are_unsteered_to_the_bit(model, vectors, restless):
    expected = emokit.read(model, vectors, "Is it so?").scores
    means = activations.story_means(model, ["Is it so, then?"], cache=False)
    wrong, over = [], threading.Event()

    def steering():
        try:
            while not over.is_set():
                with emokit.steer(model, vectors, {"happy": 0.8}, blocks=[0, 1, 2, 3]):
                    steered = emokit.read(model, vectors, "Is it so?").scores
                    if np.allclose(steered, expected, atol=1e-3):
                        wrong.append("unsteered inside")
        except BaseException as error:
            wrong.append(error)

    thread = threading.Thread(target=steering)
    thread.start()
    try:
        for _ in range(60):
            if not np.array_equal(emokit.read(model, vectors, "Is it so?").scores, expected):
                wrong.append("read")
            if not np.array_equal(activations.story_means(model, ["Is it so, then?"], cache=False), means):
                wrong.append("means")
    finally:
        over.set()
        thread.join(20)
    assert wrong == []
    assert hooks(model) == 0


def test_a_stream_may_be_begun_in_one_thread_and_consumed_in_another(model):
    text = model.generate("Hello", max_new_tokens=6)
    stream = model.stream("Hello", max_new_tokens=6)
    first = next(stream)
    assert first + elsewhere(lambda: "".join(stream)) == text


def test_a_steered_stream_consumed_by_another_thread_raises_and_is_never_unsteered(model, vectors):
    errors = []

    def consume(stream):
        try:
            list(stream)
        except emokit.EmokitError as error:
            errors.append(str(error))

    with emokit.steer(model, vectors, {"happy": 0.8}):
        stream = model.stream("Hello", max_new_tokens=6)
        thread = threading.Thread(target=consume, args=[stream])
        thread.start()
    thread.join(20)
    assert len(errors) == 1
    assert "another steering" in errors[0]


def test_a_steered_stream_consumed_by_another_thread_raises_without_waiting(model, vectors):
    def consume():
        with pytest.raises(emokit.EmokitError, match="another steering"):
            next(stream)
        return "raised"

    with emokit.steer(model, vectors, {"happy": 0.8}):
        stream = model.stream("Hello", max_new_tokens=6)
        assert elsewhere(consume) == "raised"


def test_two_models_around_one_network_share_lock_and_steers(model, vectors):
    """As in two cells of a notebook: what one reads while the other steers is steered, and never cached."""
    twin = emokit.Model(model.hf, model.tokenizer)
    texts = ["The kettle boiled over."]
    plain = activations.story_means(model, texts, cache=False)
    with emokit.steer(model, vectors, {"happy": 0.9}, blocks=0):
        assert not np.allclose(activations.story_means(twin, texts), plain)
        assert not elsewhere(lambda: free(twin))
    np.testing.assert_array_equal(activations.story_means(twin, texts), plain)
