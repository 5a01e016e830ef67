"""Which tokens one answer hangs on: an image, a tree or a text, coloured by the gradient of the loss."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import style
from figures.report.columns import Column
from figures.report.pictures import Picture, picture
from rmaat.tasks.listops_trees import CLOSE, OPERATOR_0, VOCABULARY
from rmaat.tasks.task import Batch, Task

ACROSS, NUMBERS, MOST = 48, 24, 480  # letters in a row of a text, numbers in one, and all that is shown of it
NAMED = 14  # operators of a tree that are named
WORDS = {number: "]" if word == "X" else word.lstrip("[") for word, number in VOCABULARY.items()}


def draw(task: Task, batch: Batch, sizes: np.ndarray, *, name: str, first: int = 0) -> Picture:
    """The first row of `batch` by its `sizes` [rows, length], |d loss / d embedding| of each token.

    `first` is the token that a byte of value 0 becomes, 0 where tokens are no bytes.
    """
    length = int(batch.lengths[0])
    tokens, size = batch.tokens[0, :length].numpy(), sizes[0, :length]
    share = size / size.max() if size.max() > 0 else size
    words = [_word(task, token, first) for token in tokens.tolist()]
    if task.pixels and math.isqrt(length) ** 2 == length:
        figure = _image(tokens, share, grey=task.vocab_size - 1)
    else:
        figure = _tree(tokens, share) if task.name == "listops" else _text(words, share)
    place = int(size.argmax())
    largest = np.sort(size)[::-1]
    within = int(np.searchsorted(np.cumsum(largest), 0.5 * largest.sum())) + 1
    says = (f"{length} tokens; the largest gradient, {size.max():.3g}, is at token {place + 1} "
            f"({words[place]}); {within} tokens have half of the sum of all; the label is {batch.labels[0].item()}.")
    caption = (f"One sample of the test split, label {batch.labels[0].item()}. The colour is |d loss / d embedding| of "
               "each token, over the largest.")
    table = (Column("place", "", np.arange(1, length + 1)), Column("token", "", tokens),
             Column("|d loss / d embedding|", "nat", size))
    return picture(figure, f"Which tokens an answer hangs on, {name}", caption=caption, table=table, says=says)


def _image(tokens: np.ndarray, share: np.ndarray, *, grey: int) -> Figure:
    side = math.isqrt(len(tokens))
    figure, (left, right) = style.subplots(1, 2, width=7.6, height=3.7)
    left.imshow(tokens.reshape(side, side), cmap="gray", vmin=0, vmax=grey, interpolation="nearest")
    image = right.imshow(share.reshape(side, side), cmap=style.HEAT, vmin=0, vmax=1, interpolation="nearest")
    for axes, title in ((left, "the image"), (right, "saliency")):
        axes.set(title=title, xlabel="column (pixels)", ylabel="row (pixels)")
    figure.colorbar(image, ax=right, label="share of the largest", shrink=0.85)
    return figure


def _tree(tokens: np.ndarray, share: np.ndarray) -> Figure:
    """Each token at its place and depth, joined to the operator that it is an argument of."""
    depth, parent = levels(tokens)
    figure, axes = style.subplots(width=11.0, height=4.2)
    shown = np.flatnonzero(tokens != CLOSE)
    joined = [(k, parent[k]) for k in shown if parent[k] >= 0]
    axes.plot(np.array(joined).T if joined else [], depth[np.array(joined).T] if joined else [], color="0.8", lw=0.5,
              zorder=1)
    points = axes.scatter(shown + 1, depth[shown], c=share[shown], cmap=style.HEAT, vmin=0, vmax=1, zorder=2,
                          s=np.where(tokens[shown] >= OPERATOR_0, 30, 12), marker="s")
    operators = shown[tokens[shown] >= OPERATOR_0]
    for k in operators[np.argsort(-share[operators], kind="stable")[:NAMED]]:
        axes.annotate(WORDS[int(tokens[k])], (k + 1, depth[k]), xytext=(0, 5), textcoords="offset points", fontsize=6.5,
                      ha="center")
    axes.set(xlabel="place in the sequence (tokens)", ylabel="depth in the tree", ylim=(depth.max() + 0.7, -0.8),
             title=f"{len(operators)} operators (large), {len(shown) - len(operators)} values (small)")
    axes.yaxis.get_major_locator().set_params(integer=True)
    figure.colorbar(points, ax=axes, label="share of the largest")
    return figure


def levels(tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Depth of each token of a tree, the root's 0, and the place of the operator around it, -1 of the root."""
    depth, parent, around = np.zeros(len(tokens), int), np.full(len(tokens), -1), []
    for place, token in enumerate(tokens):
        if token == CLOSE and around:
            closed = around.pop()
            depth[place], parent[place] = len(around), closed
            continue
        depth[place], parent[place] = len(around), around[-1] if around else -1
        if token >= OPERATOR_0 and token != CLOSE:
            around.append(place)
    return depth, parent


def _text(tokens: list[str], share: np.ndarray) -> Figure:
    """A window of tokens in rows, about the one that matters most; above it the whole sequence."""
    across = ACROSS if max(map(len, tokens)) == 1 else NUMBERS
    start = max(0, min(len(tokens) - MOST, int(share.argmax()) // across * across - MOST // 2)) // across * across
    window = slice(start, start + MOST)
    count = min(MOST, len(tokens) - start)
    rows = -(-count // across)
    figure = style.plt.figure(figsize=(11.0, 2.4 + 0.27 * rows))
    whole, sheet = figure.subplots(2, 1, height_ratios=(1.5, 0.27 * rows + 0.3))
    whole.vlines(np.arange(1, len(tokens) + 1), 0, share, color=style.BLUE, lw=max(0.3, min(2.0, 400 / len(tokens))))
    whole.set(xlabel="place in the sequence (tokens)", ylabel="share of\nthe largest", ylim=(0, 1.05),
              xlim=(0, len(tokens) + 1))
    cells = np.full(rows * across, np.nan)
    cells[:count] = share[window]
    image = sheet.imshow(cells.reshape(rows, across), cmap=style.HEAT, vmin=0, vmax=1, aspect="auto",
                         interpolation="nearest")
    _letters(sheet, tokens[window], share[window], across=across)
    sheet.set(xticks=[], yticks=range(rows), yticklabels=[str(start + 1 + k * across) for k in range(rows)],
              ylabel="place of the first", title=f"tokens {start + 1} to {start + count} of {len(tokens)}")
    sheet.tick_params(axis="y", labelsize=7, length=0)
    figure.colorbar(image, ax=[whole, sheet], label="share of the largest")
    return figure


def _letters(axes: Axes, words: list[str], share: np.ndarray, *, across: int) -> None:
    for place, (word, part) in enumerate(zip(words, share, strict=True)):
        axes.text(place % across, place // across, word, ha="center", va="center", fontsize=7,
                  color="k" if part > 0.5 else "w", clip_on=True)


def _word(task: Task, token: int, first: int) -> str:
    """A token as a reader knows it: an operator, a letter where tokens are bytes, else its number."""
    if task.name == "listops":
        return WORDS.get(token, str(token))
    if not first:
        return str(token)
    return chr(token - first) if 32 <= token - first < 127 else "\N{MIDDLE DOT}"
