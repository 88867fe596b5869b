import importlib
import inspect
import pkgutil
import subprocess
import sys
import warnings
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import emokit
from emokit import plots

PNG = b"\x89PNG\r\n\x1a\n"
ODD = ["$x$", "$", r"\$", r"$\frac", "^_{", "日本語", "😀", "👩‍👩‍👧", "\n", "\r\n", "\t", "", " ", "  ", "&<b>", "العربية", "é", "\u0301", "\x00", "w" * 40]  # fmt: skip


def heatmap(tokens, emotions=("afraid", "calm"), readout=None, seed=0):
    scores = np.random.default_rng(seed).uniform(-0.4, 0.4, (len(tokens), len(emotions))).astype(np.float32)
    return plots.token_heatmap(
        tokens, scores, emotions, readout=len(tokens) - 1 if readout is None else readout, block=2
    )


def panel(title="dose", **changes):
    shown = {
        "title": title,
        "labels": [1, 2, 3],
        "scores": {"afraid": [0, 0.1, 0.2], "calm": [0.1, 0, -0.1]},
        "expect": {"afraid": "up"},
    }
    return shown | changes


def validation_figure(messages):
    return plots.validation(
        np.array([0.2, 0.6, 0.5]), best=1, interval=(0.5, 0.7), chance=0.1, bars={"bag of embeddings": 0.3, "bag of words": 0.4}, null=(0.05, 0.15),
        messages=messages, stability=np.array([0.9, 0.92, 0.91]), noise=0.7, anisotropy=np.array([0.6, 0.5, -0.1]), topics=(1, 2, 3), needed=np.array([[0.2, 0.3], [0.4, 0.5], [0.6, 0.6]]), title="t"
    )  # fmt: skip


CHANGES = ("reread", "low", "high", "reread_random", "reread_asked")
RATIOS = ("ratio", "ratio_random", "ratio_asked")


def steps(title):
    changes = {name: np.array([-0.1, 0.1, 0.2]) for name in CHANGES}
    ratios = {name: np.array([0.8, 1, np.inf]) for name in RATIOS}
    return {"title": title, "strength": np.array([-0.2, 0.1, 0.2]), **changes, **ratios}


FIGURES = {
    "token_heatmap": lambda: heatmap(["The", " phone", " rang"]),
    "dose_panels": lambda: plots.dose_panels([panel(), panel("b"), panel("c"), panel("d")], title="t"),
    "dose_effects": lambda: plots.dose_effects(
        ["dose: afraid ↑", "$X$: calm ↓"],
        {
            "numbers": [(0.5, -0.2, 1.4), (1, np.nan, np.nan)],
            "twin": [(0, -1, 1), (np.nan,) * 3],
            "none": [(np.nan,) * 3] * 2,
        },
        title="t",
    ),
    "null_histogram": lambda: plots.null_histogram(np.array([3, 4, 4, 5]), 5, xlabel="signs right"),
    "text_columns": lambda: plots.text_columns({"plain": "It was fine.", "happy": "It was $great$! " * 30}, title="t"),
    "boxes": lambda: plots.boxes({"sad": [40, 41, 45], "happy": [38, 40, 44]}, ylabel="words"),
    "grid": lambda: plots.grid(np.eye(3), ["a", "b", "c"], xlabel="read as", ylabel="is"),
    "by_block": lambda: plots.by_block(
        {"panel": np.array([3, 8, 7]), "ladder": [6, 9, 9]},
        chosen=1,
        ylabel="signs right",
        limits=(0, 12.5),
        level=(6, "half"),
    ),
    "scatter": lambda: plots.scatter(
        np.array([[0.1, 0.2], [0.1, 0.21], [-0.3, 0]]),
        ["happy", "$x$", "sad"],
        colour=np.array([2.0, np.nan, -1]),
        xlabel="PC1",
        ylabel="PC2",
        colour_label="valence",
    ),
    "cosine_map": lambda: plots.cosine_map(np.eye(3), ["happy", "sad", "lonely"], ["joy", "despair", "despair"]),
    "gain_against_null": lambda: plots.gain_against_null(
        ["sad", "happy"], np.array([2, 3]), np.array([[0, 1], [-1, 0], [0.5, 0]]), ylabel="nats"
    ),
    "calibration": lambda: plots.calibration([steps("asked of it"), steps("unlike")], shaded=[(0.1, 0.2)], limit=1.5),
    "turns": lambda: plots.turns(
        {
            "neutral": (np.arange(1, 4), np.array([1, 2, 3.0]), np.array([0, 1, 2.5]), np.array([2, 3, np.nan])),
            "$x$": (np.arange(1, 3), np.array([0, np.nan]), np.zeros(2), np.ones(2)),
        },
        ylabel="of 10",
        level=(5, "high"),
        limits=(0, 10),
        title="t",
    ),
    "line": lambda: plots.line([0, 0.1, 0.2], [1, 3, 2], xlabel="strength", ylabel="nats"),
    "validation": lambda: validation_figure(
        {
            "first": np.array([0.2, 0.5, 0.4]),
            "three": np.array([0.4, 0.7, 0.6]),
            "interval": (0.4, 0.6),
            "null": 0.2,
            "embeddings": 0.3,
            "count": 12,
            "emotions": 6,
        }
    ),
    "changes": lambda: plots.changes(
        ["calm +0.1", "$x$"],
        {"nats": [(0.5, 0.2, 0.9), (0, -1, 1)], "tokens": [(2, 1, 3), (np.nan,) * 3]},
        bands={"nats": (-0.3, 0.2)},
        lines=[1],
        title="t",
    ),
    "strength_curves": lambda: plots.strength_curves(
        [-0.1, 0, 0.1],
        {n: [(-1, -2, 0), (0, 0, 0), (2, 1, 3)] for n in ("calm", "$x$", "sad", "afraid")},
        null=np.array([[0.5, 0, -0.5], [-0.2, 0, 0.2]]),
        ylabel="nats",
        title="t",
    ),
    "pairs": lambda: plots.pairs(np.array([-0.2, 0.3]), np.array([0.1, 0.4]), xlabel="one", ylabel="other", title="t"),
    "block_map": lambda: plots.block_map(np.eye(3), level=0.4, best=(1, 2), names=("block", "other"), title="t"),
    "agreement_by_block": lambda: plots.agreement_by_block(
        {
            n: {"r": [0.2, 0.8], "interval": [(-0.1, 0.5), (0.6, 0.9)], "level": [0.5, 0.5], "component": [3, 0]}
            for n in ("valence", "arousal")
        },
        chosen=1,
        title="t",
    ),
    "prediction": lambda: plots.prediction(
        np.array([1.0, 2, -1]),
        np.array([0.5, 1, -0.2]),
        ["a", "$b$", "c"],
        by_block=np.array([0.1, 0.4]),
        level=np.array([0.3, 0.3]),
        chosen=1,
        name="valence",
    ),
    "share_table": lambda: plots.share_table(
        np.array([[0.9, -0.01], [0.2, 0.3]]),
        ["PC1", "null"],
        ["emotion", "length"],
        framed=np.array([[True, False], [False, False]]),
        lines=[1],
    ),
    "outcomes": lambda: plots.outcomes(
        ["none", "$x$"],
        {"cheat": [0.2, np.nan], "fail": [0.8, np.nan]},
        [10, 0],
        [(0.06, 0.5), (np.nan, np.nan)],
        title="t",
    ),
    "failures": lambda: plots.failures(
        np.array([[0, 0.1, 0.2], [0, 0.2, 0.1]]),
        np.array([[0, 0.1, 0], [0, 0, 0.1]]),
        {"sad": 0.1, "desperate": 0.05, "calm": -0.1},
        (-0.08, 0.07),
        marked="desperate",
        title="t",
    ),
    "bars": lambda: plots.bars(["a", "b"], {"steered": [1, -2], "random": [0.1, 0.2]}, ylabel="nats"),
}


def text_of(figure):
    return [t.get_text() for t in figure.findobj(matplotlib.text.Text) if t.get_text()]


def test_every_public_function_that_draws_is_tested_here():
    parts = [importlib.import_module(f"{plots.__name__}.{part.name}") for part in pkgutil.iter_modules(plots.__path__)]
    functions = {n: f for part in parts for n, f in vars(part).items() if inspect.isfunction(f)}
    drawing = {n for n, f in functions.items() if f.__annotations__.get("return") == "Figure"}
    assert {n for n in drawing if not n.startswith("_")} == set(FIGURES)
    assert drawing <= set(plots.__all__)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_comes_from_arrays_and_draws_without_a_warning(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = FIGURES[name]()
        data = plots.png(figure)
    assert isinstance(figure, Figure)
    assert data.startswith(PNG)
    assert len(data) > 2000


@pytest.mark.parametrize("name", FIGURES)
def test_the_same_arrays_give_the_same_png(name):
    assert plots.png(FIGURES[name]()) == plots.png(FIGURES[name]())


def test_other_numbers_give_another_png():
    tokens = ["The", " phone"]
    assert plots.png(heatmap(tokens)) != plots.png(heatmap(tokens, seed=1))


def test_drawing_leaves_the_global_style_alone_and_does_not_depend_on_it():
    before = dict(matplotlib.rcParams)
    data = plots.png(FIGURES["bars"]())
    assert dict(matplotlib.rcParams) == before
    with matplotlib.rc_context({"axes.grid": False, "figure.dpi": 300, "font.size": 20}):
        assert plots.png(FIGURES["bars"]()) == data


@pytest.mark.parametrize(
    "names",
    [
        [name for name in FIGURES if name != "boxes"],
        ["boxes"],
    ],
    ids=len,
)
def test_drawing_needs_no_pyplot(names):
    code = f"""
import sys
sys.path[:0] = [{str(Path(emokit.__file__).parent.parent)!r}, {str(Path(__file__).parent)!r}]
from test_plots import FIGURES, plots
for name in {names}:
    plots.png(FIGURES[name]())
    if "matplotlib.pyplot" in sys.modules:
        sys.exit(f"{{name}} imports pyplot")
print("none")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240)
    assert done.stdout.strip() == "none", done.stderr


# the heat map


def test_the_heat_map_writes_the_numbers_and_marks_the_readout():
    scores = np.array([[0.104, -0.2], [0.3, 0]], np.float32)
    texts = text_of(plots.token_heatmap(["The", " phone"], scores, ["afraid", "calm"], readout=1, block=7))
    assert {"+10", "-20", "+30", "+0", "The", "phone\n▲ readout", "afraid", "calm"} <= set(texts)
    assert any("block 7" in t for t in texts)


def test_five_hundred_tokens_draw_and_say_how_many_are_shown():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = heatmap([f"t{i}" for i in range(500)], emotions=("afraid",))
        assert plots.png(figure).startswith(PNG)
    assert any("192 of 500 tokens" in t for t in text_of(figure))
    assert not any("192 of" in t for t in text_of(heatmap(["a"] * 192, emotions=("afraid",))))


def test_the_readout_is_shown_however_long_the_text():
    scores = np.zeros((500, 1), np.float32)
    figure = plots.token_heatmap([f"t{i}" for i in range(500)], scores, ["sad"], readout=499, block=3)
    assert len(figure.axes) == 12
    assert any("t499" in t.get_text() and "readout" in t.get_text() for t in figure.axes[-1].get_xticklabels())


@pytest.mark.parametrize("token", ODD, ids=ascii)
def test_odd_tokens_draw_without_an_error_or_a_warning(token):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert plots.png(heatmap(["a", token, "b", token], emotions=("sad",))).startswith(PNG)


@pytest.mark.parametrize("token", ["$x$", "$x", "$$", r"\$"])
def test_a_dollar_is_shown_as_a_dollar_and_not_as_mathematics(token):
    shown, mathematics = seen(heatmap(["a", token]).axes[0].get_xticklabels()[-1])
    assert (shown, mathematics) == (token + "\n▲ readout", False)


def seen(label):
    """What matplotlib draws for a label, and whether it reads it as mathematics."""
    shown, mathematics = label._preprocess_math(label.get_text())
    return shown, bool(mathematics)


def test_spaces_and_newlines_can_be_seen():
    texts = text_of(heatmap(["a", "\n", "  ", " \n ", "b"]))
    assert {"↵", "␣␣"} <= set(texts)
    assert not {"", "\n", "  "} & set(texts)


# colours


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("limit", [0.05, plots.LIMIT, 1.0])
def test_every_score_can_be_read_on_its_background(limit):
    for score in np.linspace(-1, 1, 801):
        dark, light = sorted(luminance(c) for c in plots.token_colours(float(score), limit))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, score


def test_colours_go_apart_from_zero_and_end_at_the_limit():
    up, down, zero = (plots.token_colours(s)[0] for s in (plots.LIMIT, -plots.LIMIT, 0.0))
    assert len({up, down, zero}) == 3
    assert plots.token_colours(0.9)[0] == up
    assert plots.token_colours(-0.9)[0] == down
    assert luminance(zero) > 0.85 > max(luminance(up), luminance(down))


def test_scores_that_round_alike_have_one_colour():
    assert plots.token_colours(0.1201) == plots.token_colours(0.1199)  # so that HTML can be compared


# the dose panels


def test_panels_mark_what_was_expected_and_hide_what_is_left_over():
    figure = plots.dose_panels([panel(), panel("b"), panel("c"), panel("d")])
    assert [axis.get_visible() for axis in figure.axes] == [True] * 4 + [False] * 2
    assert [t.get_text() for t in figure.axes[0].get_legend().get_texts()] == ["afraid ↑", "calm"]


def test_the_band_of_random_directions_is_drawn_and_fits():
    figure = plots.dose_panels([panel(band=(np.array([0, -0.5, -1]), np.array([0, 0.5, 1])))])
    axis = figure.axes[0]
    assert "random directions, 5-95 %" in [t.get_text() for t in axis.get_legend().get_texts()]
    assert axis.get_ylim()[1] > 1


def test_a_group_without_effects_is_left_out_of_the_legend():
    (axis,) = FIGURES["dose_effects"]().axes
    assert [t.get_text() for t in axis.get_legend().get_texts()] == ["random directions, 90 %", "numbers", "twin"]


def test_an_emotion_looks_the_same_in_every_panel():
    figure = plots.dose_panels([panel(), panel("b", scores={"calm": [0, 1, 2]}, expect={})])
    first, second = figure.axes[0].lines[2], figure.axes[1].lines[1]
    for get in ("get_color", "get_linestyle", "get_marker"):
        assert getattr(first, get)() == getattr(second, get)()


def test_emotions_differ_by_more_than_colour():
    scores = {f"e{i}": [0, i, 2 * i] for i in range(8)}
    lines = plots.dose_panels([panel(scores=scores, expect={})]).axes[0].lines[1:]  # the first is the zero line
    assert len({(line.get_linestyle(), line.get_marker()) for line in lines}) == 8


@pytest.mark.parametrize("title", ["Is ${X} more than $5?", r"A $\frac of ${X}"])
def test_a_panel_about_dollars_is_drawn_as_written(title):
    figure = plots.dose_panels([panel(title)])
    assert plots.png(figure).startswith(PNG)
    assert seen(figure.axes[0]._left_title) == (title, False)


# the table of shares


def test_the_numbers_in_a_table_can_be_read_on_their_cells():
    values = np.linspace(0.25, 1, 100).reshape(10, 10)
    (axis,) = plots.grid(values, [str(i) for i in range(10)], xlabel="x", ylabel="y").axes
    assert len(axis.texts) == 100
    for text in axis.texts:
        column, row = text.get_position()
        background = to_hex(matplotlib.colormaps["Blues"](values[row, column]))
        dark, light = sorted((luminance(background), luminance(to_hex(text.get_color()))))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, values[row, column]


def test_a_table_leaves_small_shares_unwritten():
    figure = plots.grid(np.array([[0.9, 0.1], [0.24, 0.25]]), ["a", "b"], xlabel="x", ylabel="y")
    assert sorted(t.get_text() for t in figure.axes[0].texts) == ["25", "90"]


@pytest.mark.parametrize("text", ["", "$x$ and $_", "日本語 😀", "one\ntwo", "word " * 400])
def test_texts_of_any_kind_stand_side_by_side(text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert plots.png(plots.text_columns({"plain": text, "happy": "fine"})).startswith(PNG)
