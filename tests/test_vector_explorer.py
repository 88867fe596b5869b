import threading

import numpy as np
import pytest

import emokit
from emokit import EmokitError, geometry
from emokit.remake import Remade
from emokit.stories import Story, StorySet
from emokit.widgets import VectorExplorer, landing, portrait
from emokit.widgets.portrait import firmness


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(portrait, "SHUFFLES", 4)
    monkeypatch.setattr(landing, "PIECES", 20)


@pytest.fixture
def stories():
    """As conftest's, with one emotion more, so that there are three components."""
    words = {
        "happy": "sun song smile",
        "sad": "rain loss tear",
        "angry": "slam shout heat",
        "zesty": "lemon sharp tang",
    }
    topics = ("garden", "office", "school", "harbour")
    rows = tuple(Story(e, t, f"{t}: {w} again, {w} at the {t}.") for e, w in words.items() for t in topics)
    neutral = tuple(Story("neutral", t, f"The {t} has a door and {n} tables.") for n, t in enumerate(("hall", "shed")))
    return StorySet(rows, neutral)


@pytest.fixture
def board(model, vectors):
    board = VectorExplorer(model, vectors)
    assert board.wait(20)
    yield board
    board.close()


def from_browser(board, **state):
    """What the front end sends when a control is moved."""
    board._handle_msg({"content": {"data": {"method": "update", "state": state, "buffer_paths": []}}, "buffers": []})


def floats(data, *shape):
    return np.frombuffer(data, np.float32).reshape(shape)


# the points


def test_all_blocks_are_sent_at_once_as_pca_has_them(board, vectors):
    points = floats(board.view["plane"]["points"], 4, 4, 3)
    for block in vectors.blocks:
        own = geometry.pca(vectors, block)
        np.testing.assert_allclose(np.abs(points[block]), np.abs(own.coordinates), atol=1e-6)
        np.testing.assert_allclose(board.view["plane"]["variance"][block], own.variance, atol=6e-4)
    best = vectors.best_block
    np.testing.assert_allclose(points[best], geometry.pca(vectors).coordinates, atol=1e-6)


def test_points_do_not_flip_between_neighbouring_blocks(board, vectors):
    points = floats(board.view["plane"]["points"], 4, 4, 3)
    assert ((points[1:] * points[:-1]).sum(1) >= 0).all()
    flipped = sum(
        ((geometry.pca(vectors, b).coordinates * geometry.pca(vectors, b + 1).coordinates).sum(0) < 0).sum()
        for b in range(3)
    )
    assert flipped > 0  # else this test could not fail


def test_the_slider_and_axes_run_no_forward_pass_and_send_no_points_again(board, model):
    passes, before = [], board.view["plane"]
    handle = model.blocks[0].register_forward_hook(lambda *_: passes.append(1))
    for block in (0, 3, 1):
        from_browser(board, block=block)
        assert board.wait(20)
    from_browser(board, axes=[2, 0], colour="valence")
    assert (board.axes, board.colour) == ([2, 0], "valence")
    assert passes == []
    assert board.view["plane"] is before
    assert board.plane.block == 1
    handle.remove()


def test_a_name_is_given_at_the_best_block_alone():
    from test_geometry import with_valence

    made = with_valence(6.0)
    planes = geometry.pcas(made)
    sent = emokit.widgets.explorer._plane(planes, 0)
    assert sent["names"] == {str(planes[0].valence.component): "valence"}
    assert "chosen on stories: valence is PC" in sent["notes"][0]
    other = emokit.widgets.explorer._note(planes[0], 1)
    assert other.startswith("Valence goes most with PC")
    assert other.endswith("some would pass by chance.")


def test_words_that_nobody_has_rated(board):
    assert board.about["clusters"][3] == "others"
    assert board.about["valence"][3] is None
    assert board.about["valence"][0] > 0 > board.about["valence"][1]
    assert "Too few" in board.view["plane"]["notes"][0]


# an emotion


def test_a_chosen_emotion_has_neighbours_beside_random_directions(board, vectors):
    from_browser(board, emotion="sad", block=2)
    assert board.wait(20)
    cosines = vectors.at(2) @ vectors.at(2)[1]
    names = [e for e in np.array(vectors.emotions)[np.argsort(-cosines)] if e != "sad"]
    assert [name for name, *_ in board.view["portrait"]["near"]] == names
    frame = board.portrait.to_frame()
    np.testing.assert_allclose(frame["cosine"], np.sort(np.delete(cosines, 1))[::-1], atol=1e-6)
    assert -1 < board.portrait.random[0] < board.portrait.random[1] < 1
    from_browser(board, emotion="")
    assert board.wait(20)
    assert board.portrait is None
    assert board.view["portrait"] is None


def test_the_random_range_holds_nine_tenths_of_mixtures_of_the_others(model, vectors):
    rows, rng = vectors.at(1), np.random.default_rng(9)
    low, high = portrait.portrait(model, vectors, "sad", 1).random
    mixtures = rng.standard_normal((4000, 3))
    drawn = (mixtures - mixtures.mean(1, keepdims=True)) @ rows[[0, 2, 3]]
    cosines = drawn @ rows[1] / np.linalg.norm(drawn, axis=1)
    assert ((cosines > low) & (cosines < high)).mean() == pytest.approx(0.9, abs=0.03)


def test_beyond_means_beyond_every_null(vectors):
    lens = emokit.lens.Lens("x", 0, ("a", " sad"), np.array([1.0, 0.0], np.float32))
    firm = portrait.Firmness(0, *(np.full(4, n) for n in (0.9, 0.8, 0.95)), 0.5, (-0.6, 0.3))
    found = portrait.Portrait("sad", 0, ("b", "c", "d"), np.array([0.5, 0.25, -0.5]), (-0.4, 0.2), lens, lens, firm)
    frame = found.to_frame()
    assert frame["beyond random"].tolist() == [True, True, True]
    assert frame["beyond shuffled"].tolist() == [True, False, False]
    assert found.ranks() == (1, 1)
    told = emokit.widgets.explorer._told(found, vectors, wants=True)
    assert told["near"] == [["b", 50, 1], ["c", 25, 0], ["d", -50, 0]]
    assert (told["ranks"], told["random"], told["shuffled"]) == ([1, 1, 2], [-40, 20], [-60, 30])
    assert told["stability"] == [0.9, 0.8, 0.95, 0.5]
    assert (told["how"], told["far"]) == ("", [])


def test_the_lens_stands_beside_a_random_direction(board, model, vectors):
    board.set(emotion="angry")
    own = emokit.logit_lens(model, vectors, "angry")
    other = emokit.logit_lens(model, vectors, vectors.random(0))
    assert board.wait(20)
    assert board.view["portrait"]["lens"] == own.top(6)
    assert board.view["portrait"]["control"] == other.top(6)
    assert board.view["portrait"]["ranks"] is None  # no word is one token of a byte
    assert "from the middle" in board.view["portrait"]["late"] or vectors.best_block >= 2


def test_stability_comes_with_stories_and_without_them_how_to_get_it(model, vectors, stories):
    board = VectorExplorer(model, vectors, emotion="happy", stories=stories)
    assert board.wait(20)
    cosine, low, high, noise = board.view["portrait"]["stability"]
    assert low <= cosine <= high <= 1
    assert noise < 1
    whole = emokit.validate(model, stories).stability
    if vectors.best_block == emokit.validate(model, stories).best_block:
        assert cosine == pytest.approx(float(whole.cosine[0]), abs=0.06)  # other draws
    assert board.portrait.firmness.block == board.block
    board.close()
    bare = VectorExplorer(model, vectors, emotion="happy")
    bare.wait(20)
    assert bare.view["portrait"]["stability"] is None
    assert "stories=stories" in bare.view["portrait"]["how"]
    bare.close()


def test_shuffled_labels_bound_what_meaningless_directions_reach(model, vectors, stories):
    found = firmness(model, vectors, stories, 1, threading.Event())
    remade = Remade(model, vectors, stories, 1)
    nearest, farthest = [], []
    for seed in range(4):
        rows = remade.shuffled(seed)[0]
        for i in range(4):
            others = np.delete(rows @ rows[i], i)
            nearest.append(others.max())
            farthest.append(others.min())
    assert found.shuffled == pytest.approx((np.quantile(farthest, 0.05), np.quantile(nearest, 0.95)))
    assert sorted(remade.shuffled_labels(0)) == sorted(remade.labels)
    stop = threading.Event()
    stop.set()
    assert firmness(model, vectors, stories, 1, stop) is None


def test_other_stories_than_the_vectors_were_made_from_are_refused(model, vectors, stories):
    other = StorySet(stories.stories[:-1], stories.neutral)
    board = VectorExplorer(model, vectors, emotion="sad", stories=other)
    with pytest.raises(EmokitError, match="not made from these stories"):
        board.wait(20)
    assert "that `extract` was given" in board.error
    assert board.view["portrait"]["near"]
    board.close()


# a text


def test_a_state_along_a_direction_lands_on_its_emotion(vectors):
    planes = geometry.pcas(vectors)
    read = np.stack([vectors.mean + 7 * vectors.directions[:, e] for e in range(4)])
    places, scores = landing.projected(vectors, planes, read)
    for block, plane in enumerate(planes):
        np.testing.assert_allclose(places[block], plane.coordinates, atol=1e-5)
        np.testing.assert_allclose(np.diag(scores[block]), 1, atol=1e-5)
    same = landing.projected(vectors, planes, vectors.mean[None])[1]
    assert not same.any()  # no state, no score


def test_a_text_is_read_behind_the_lead_and_its_own_tokens_alone(model, vectors):
    text = "Rain again."
    ids, lead = model.encode(f"{landing.LEAD} {text}"), model.encode(landing.LEAD)
    every = emokit.activations.token_states(model, ids, list(vectors.blocks))
    expected = every[len(lead) :].mean(0)
    np.testing.assert_allclose(landing.states(model, [text])[0], expected, rtol=1e-4, atol=1e-4)
    assert len(ids) - len(lead) == len(text) + 1  # bytes, and the space
    assert landing._shared([1, 2, 3], [1, 2, 3]) == 2  # never none of its own


def test_where_a_text_lands_is_told_beside_neutral_pieces(board, model, vectors):
    from_browser(board, text="sun song smile")
    assert board.wait(60)
    seen = board.view["landing"]
    assert (seen["words"], seen["count"], seen["text"]) == (2, 20, "sun song smile")
    place, cloud = floats(seen["place"], 4, 3), floats(seen["cloud"], 4, 20, 3)
    places, scores = landing.projected(vectors, geometry.pcas(vectors), landing.states(model, ["sun song smile"]))
    np.testing.assert_allclose(place, places[:, 0], atol=1e-6)
    np.testing.assert_allclose(np.frombuffer(seen["scores"], np.int8).reshape(4, 4) / 100, scores[:, 0], atol=0.0051)
    assert np.isfinite(cloud).all()
    assert all(1 / 21 - 1e-3 <= p <= 1 for p in seen["p"])
    frame = board.landing.to_frame()
    assert list(frame.columns) == ["PC1", "PC2", "PC3", "p", "emotion", "score", "reach"]
    np.testing.assert_allclose(frame["p"], seen["p"], atol=6e-4)
    from_browser(board, text="  ")
    assert board.wait(20)
    assert board.landing is None
    assert board.view["landing"] is None


def test_pieces_of_one_length_are_read_once_and_a_block_reads_nothing(board, monkeypatch):
    asked, states = [], landing.states
    monkeypatch.setattr(
        landing, "states", lambda model, texts, **how: asked.append(list(texts)) or states(model, texts, **how)
    )
    board.set(text="one two")
    assert board.wait(60)
    assert [len(texts) for texts in asked] == [1, 10, 10]
    board.set(text="three four")
    assert board.wait(20)
    board.set(block=0)
    assert board.wait(20)
    assert asked[3:] == [["three four"]]
    assert board.view["landing"]["count"] == 20


def test_p_is_fair_for_one_more_of_the_cloud_and_small_for_what_is_not():
    rng = np.random.default_rng(0)
    spread = rng.standard_normal((5, 5))
    p = [landing._far((x := rng.standard_normal((21, 5)) @ spread)[0], x[1:]) for _ in range(2000)]
    shares = [(np.array(p) <= share + 1e-9).mean() for share in (1 / 21, 5 / 21, 11 / 21)]
    np.testing.assert_allclose(shares, [1 / 21, 5 / 21, 11 / 21], atol=0.03)
    cloud = rng.standard_normal((60, 5)) @ spread
    assert landing._far(cloud.mean(0) + 9 * spread[0], cloud) == pytest.approx(1 / 61)
    assert landing._far(cloud.mean(0), cloud) == 1


def test_reach_is_what_the_pieces_highest_scores_stay_below(vectors):
    scores = np.zeros((4, 20, 4))
    scores[:, :, 1] = np.linspace(0, 0.19, 20)
    bare = landing.Landing(
        "x", 1, vectors.emotions, np.zeros((4, 3)), np.zeros((4, 4)), np.empty((4, 0, 3)), *(np.full(4, np.nan),) * 2
    )
    found = landing.beside(bare, np.random.default_rng(0).standard_normal((4, 20, 3)), scores)
    np.testing.assert_allclose(found.reach, np.quantile(np.linspace(0, 0.19, 20), 0.95))


@pytest.mark.parametrize(("words", "text", "among"), [
    (1, "The kettle is on.", {"kettle"}), (2, "a be see", {"a be", "be see"}), (9, "Only four words here.", {"Only four words here."}),
])  # fmt: skip
def test_pieces_are_as_long_as_asked_and_begin_with_a_longer_word(words, text, among):
    assert set(landing.pieces([text] * 20, words)) == among


# the board


def test_errors_are_shown_and_gone_after_the_next_run(board):
    from_browser(board, emotion="joy")
    with pytest.raises(EmokitError, match="unknown emotion"):
        board.wait(20)
    from_browser(board, emotion="sad", block=99)
    with pytest.raises(EmokitError, match="unknown block"):
        board.wait(20)
    assert "Blocks are 0 to 3" in board.error
    from_browser(board, block=1, text="x" * 600)
    with pytest.raises(EmokitError, match="beyond the context"):
        board.wait(20)
    from_browser(board, text="")
    assert board.wait(20)
    assert (board.error, board.busy) == ("", False)


@pytest.mark.parametrize("axes", [[0, 0], [0, 3], [0], [0, 1, 2], ["0", 1], [-1, 0], [True, 2]])
def test_axes_that_can_not_be(board, axes, model, vectors):
    from_browser(board, axes=axes)
    assert "axes are two components" in board.error
    assert board.axes == [0, 1]
    with pytest.raises(EmokitError, match="axes are two components"):
        VectorExplorer(model, vectors, axes=axes)


def test_bad_arguments(model, vectors, stories):
    for wrong in ({"colour": "red"}, {"emotion": "joy"}, {"block": 9}, {"stories": "all"}):
        with pytest.raises(EmokitError):
            VectorExplorer(model, vectors, **wrong)
    with pytest.raises(EmokitError, match="not a Model"):
        VectorExplorer(vectors, model)
    two = StorySet(tuple(s for s in stories if s.emotion in ("happy", "sad")), stories.neutral)
    with pytest.raises(EmokitError, match="at least three"):
        VectorExplorer(model, emokit.extract(model, two))


def test_its_words_and_its_picture(board):
    assert repr(board) == f"VectorExplorer(4 emotions at block {board.block})"
    data = board._repr_mimebundle_()
    data = data[0] if isinstance(data, tuple) else data
    assert data["image/png"].startswith("iVBOR")
    board.axes = [2, 1]
    assert board._figure().axes[0].get_xlabel().startswith("PC3")
    assert repr(VectorExplorer.landing.fget(board)) == "None"


def test_all_173_emotions(model):
    names = tuple(geometry.ratings())
    rows = np.random.default_rng(0).standard_normal((4, len(names), 32)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=2, keepdims=True)
    made = emokit.EmotionVectors(names, rows, np.zeros((4, 32), np.float32), np.ones(4, np.float32), 2)
    board = VectorExplorer(model, made, emotion="afraid")
    assert board.wait(60)
    assert floats(board.view["plane"]["points"], 4, 173, 5).shape == (4, 173, 5)
    assert len(board.view["portrait"]["near"]) == 6
    assert len(board.view["portrait"]["far"]) == 3
    board.close()
